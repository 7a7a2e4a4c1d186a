"""Every case of the reference file, driven from it."""

import inspect
import json
import math
from pathlib import Path

import classic_cases_rows  # noqa: F401 - registers its cases
import classic_cases_sequential  # noqa: F401 - registers its cases
import numpy as np
import pandas as pd
import pytest
from classic_cases import CASES

PATH = Path(__file__).parents[2].parent / "shared/reference/abstats_cases.json"
FILE = json.loads(PATH.read_text()) if PATH.exists() else {"cases": [], "datasets": {}}

needs_file = pytest.mark.skipif(
    not FILE["cases"], reason="the reference cases do not lie beside this checkout"
)


@needs_file
def test_every_case_of_the_file_is_looked_at() -> None:
    assert {case["id"] for case in FILE["cases"]} == set(CASES)
    assert len(FILE["cases"]) == FILE["meta"]["count"]


@needs_file
@pytest.mark.parametrize("case", FILE["cases"], ids=lambda case: case["id"])
def test_case(case: dict) -> None:
    function = CASES[case["id"]]
    frame = pd.DataFrame(FILE["datasets"]["D1"]["columns"])
    given = {"inputs": case["inputs"], "data": frame}
    asked = {name: given[name] for name in inspect.signature(function).parameters}
    compare(case["expected"], function(**asked), case["tolerance"])


def compare(expected: object, got: object, tolerance: dict, where: str = "") -> None:
    """As the file says: within ``abs + rel * |expected|`` for every number."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            assert key in got, f"{where}.{key} is missing"
            compare(value, got[key], tolerance, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(expected) == len(got), where
        for i, (value, mine) in enumerate(zip(expected, got, strict=True)):
            compare(value, mine, tolerance, f"{where}[{i}]")
    elif expected in ("inf", "-inf"):
        assert got == float(expected), where
    elif expected is None or isinstance(expected, bool | str):
        assert got == expected, f"{where}: {got} instead of {expected}"
    else:
        assert isinstance(got, int | float | np.number), f"{where}: {got!r}"
        limit = tolerance["abs"] + tolerance["rel"] * abs(expected)
        assert math.isclose(got, expected, rel_tol=0, abs_tol=limit), f"{where}: {got}, {expected}"
