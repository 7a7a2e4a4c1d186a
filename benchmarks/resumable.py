"""Long runs in pieces: every finished case is a row of a JSONL file, and is not done again."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def read_rows(path: Path) -> dict[str, Row]:
    """Finished rows by their key."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {row["key"]: row for row in map(json.loads, lines)}


def run_missing(cases: Mapping[str, Callable[[], Row]], path: Path, minutes: float) -> list[Row]:
    """Do what is missing, as long as another case like the longest so far fits in the time.

    Args:
        cases: what makes each row, by the row's key; in this order.
        path: the file of rows, made if it is not there.
        minutes: for this piece; below 0 does nothing but read.

    Returns:
        The finished rows of the cases, in the order of the cases.
    """
    done = read_rows(path)
    end, longest = time.monotonic() + 60 * minutes, 0.0
    for key, case in cases.items():
        if key in done:
            continue
        start = time.monotonic()
        if start + longest > end:
            break
        row = {"key": key, **case()}
        longest = max(longest, time.monotonic() - start)
        done[key] = row
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{key}: {time.monotonic() - start:.0f} s", flush=True)
    found = [done[key] for key in cases if key in done]
    print(f"{len(found)} of {len(cases)} done\n", flush=True)
    return found
