"""A plain round of 900 visitors and three arms, for the tests to spoil."""

import numpy as np
import pandas as pd

from pytyche_engine.contracts import BaselinePolicy, Cell, ColumnMapping, Plan, UniformPolicy

ARMS = ("control", "a", "b")
COLUMNS = ColumnMapping(propensity=("propensity_control", "propensity_a", "propensity_b"))
UNRECORDED = ColumnMapping()
N = 900


def plan(n_visitors: int | None = N, round_index: int = 0) -> Plan:
    cells = (Cell("control", BaselinePolicy(), 0.4), Cell("explore", UniformPolicy(ARMS), 0.6))
    return Plan(round_index, ARMS, cells, n_visitors)


def good_round(n: int = N, round_index: int = 0) -> pd.DataFrame:
    """Control for 60 % of visitors, 'a' and 'b' for 20 % each; one in five buys for 10 to 40."""
    rng = np.random.default_rng(round_index)
    cell = np.where(np.arange(n) % 5 < 2, "control", "explore")
    arm = np.where(cell == "control", "control", np.array(ARMS)[np.arange(n) // 5 % 3])
    revenue = np.where(rng.random(n) < 0.2, rng.uniform(10, 40, n).round(2), 0.0)
    return pd.DataFrame(
        {
            "visitor_id": [f"r{round_index}v{i}" for i in range(n)],
            "cell": cell,
            "arm": arm,
            "revenue": revenue,
            "propensity_control": 0.6,
            "propensity_a": 0.2,
            "propensity_b": 0.2,
            "age": rng.normal(40, 10, n),
            "channel": np.array(["organic", "paid", "email"])[rng.integers(0, 3, n)],
            "is_returning": rng.random(n) < 0.4,
        }
    )
