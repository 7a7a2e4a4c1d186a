"""Two real randomised trials of revenue, as frames of features, ``arm`` and ``revenue``."""

from pathlib import Path

import numpy as np
import pandas as pd

DATA = Path(__file__).parents[2] / "shared" / "data"
HILLSTROM = DATA / "hillstrom" / "hillstrom.csv.gz"
KARLAN_LIST = DATA / "karlan_list" / "charitable.parquet"

HILLSTROM_ARMS = ("No E-Mail", "Mens E-Mail", "Womens E-Mail")
KARLAN_ARMS = ("control", "1:1", "2:1", "3:1")
KARLAN_FEATURES = [
    "hpa", "freq", "years", "mrm2", "dormant", "female", "couple", "nonlit", "cases", "perbush",
    "close25", "red0", "redcty", "bluecty", "pwhite", "pblack", "page18_39", "ave_hh_sz",
    "median_hhincome", "powner", "psch_atlstba", "pop_propurban",
]  # fmt: skip
"""What was known of a donor before the letter. Columns ``state*`` and ``out_*`` are outcomes."""


def read_hillstrom() -> pd.DataFrame:
    """(64,000 rows) features, arm and revenue."""
    frame = pd.read_csv(HILLSTROM).drop(columns=["visit", "conversion"])
    return frame.rename(columns={"segment": "arm", "spend": "revenue"})


def read_karlan() -> pd.DataFrame:
    """(50,081 rows) features, arm and gift; the two rows without an amount are left out."""
    data = pd.read_parquet(KARLAN_LIST)
    frame = data[KARLAN_FEATURES].copy()
    code = np.where(
        data["treatment"] == 0,
        0,
        np.where(data["treat_ratio2"] == 1, 2, np.where(data["treat_ratio3"] == 1, 3, 1)),
    )
    frame["arm"] = np.array(KARLAN_ARMS, dtype=object)[code]
    frame["revenue"] = data["out_amountgive"]
    return frame[frame["revenue"].notna()].reset_index(drop=True)
