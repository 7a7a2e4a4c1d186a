"""Planted truth cannot reach analysis code: neither as a type, nor as an object or a column."""

import ast
import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from experiment_cases import ARMS, experiment, quietly, simulated
from mypy import api
from segment_cases import effects_of

import pytyche_engine
from pytyche_engine.allocation import cold_start
from pytyche_engine.contracts import ColumnMapping, DataError, GroundTruth, Observations, TruthError
from pytyche_engine.contracts.door import read_round
from pytyche_engine.contracts.leaks import refuse_truth_columns
from pytyche_engine.segments import discover_segments, doubly_robust_scores

ENGINE = Path(pytyche_engine.__file__).parent
ANALYSIS = ("bcf", "segments", "decisions", "allocation")

SNIPPET = """
from pytyche_engine.contracts.effects import GroupDraws, VisitorEffects
from pytyche_engine.contracts.observations import Observations, concat
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.truth import GroundTruth
from pytyche_engine.bcf.fit import fit
from pytyche_engine.decisions.traffic import traffic_split
from pytyche_engine.decisions.truth import compare_with_truth
from pytyche_engine.segments.discover import discover_segments
from pytyche_engine.segments.scores import doubly_robust_scores


def calls(
    seen: Observations, truth: GroundTruth, model: VisitorEffects, plan: Plan, draws: GroupDraws
) -> None:
    doubly_robust_scores(seen, model)
    doubly_robust_scores(truth, model)  # refused
    doubly_robust_scores(seen, truth)  # refused
    discover_segments(truth, model, lambda *_: draws)  # refused
    fit(seen)
    fit(truth)  # refused
    concat([seen, seen])
    concat([seen, truth])  # refused
    traffic_split(plan, truth)  # refused
    compare_with_truth(truth, truth.cate, truth.cate)
    compare_with_truth(seen, truth.cate, truth.cate)  # refused
"""


@pytest.fixture(scope="module")
def played():
    return simulated()(0, cold_start(ARMS, 64))


def test_a_type_checker_refuses_truth_for_observations_and_the_reverse(tmp_path):
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    named = re.findall(r"from pytyche_engine\.(\S+) import", SNIPPET)
    files = [str(ENGINE / f"{name.replace('.', '/')}.py") for name in named]
    # Modules that are not named are not followed: their types do not matter here, only time does.
    found, crash, _ = api.run(
        ["--strict", "--follow-imports=skip", "--config-file=", "--cache-dir=/dev/null",
         "--python-version=3.11", str(snippet), *files]
    )  # fmt: skip
    assert not crash
    wrong = {
        int(line): code
        for line, code in re.findall(r"snippet\.py:(\d+): error: .*\[(\S+)\]", found)
        if code != "misc"  # classes of modules that were not followed
    }
    refused = [i for i, line in enumerate(SNIPPET.splitlines(), 1) if "# refused" in line]
    assert sorted(wrong) == refused, found
    assert set(wrong.values()) <= {"arg-type", "list-item"}


def test_analysis_code_does_not_know_the_type():
    knows = {
        file.relative_to(ENGINE).as_posix()
        for package in ANALYSIS
        for file in (ENGINE / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if (isinstance(node, ast.ImportFrom) and node.module == "pytyche_engine.contracts.truth")
        or (isinstance(node, ast.alias) and node.name in ("GroundTruth", "concat_truth"))
    }
    assert knows == {"decisions/truth.py"}


def test_truth_has_nothing_that_could_pass_for_observations():
    truth, seen = ({f.name for f in dataclasses.fields(c)} for c in (GroundTruth, Observations))
    assert truth & seen == {"arms"}


def test_truth_in_place_of_observations_is_refused(played):
    frame, truth = played
    model = effects_of(truth.rpv)
    with pytest.raises(TruthError, match="Pass the round's Observations"):
        doubly_robust_scores(truth, model)
    with pytest.raises(TruthError, match="Pass the round's Observations"):
        discover_segments(truth, model, lambda *_: None)
    with pytest.raises(DataError, match="must be a pandas DataFrame; got GroundTruth"):
        read_round(truth, columns=ColumnMapping(), arms=ARMS)
    assert not [c for c in frame if "truth" in c or "cate" in c]


@pytest.mark.parametrize("surface", ["conversion", "severity", "rpv", "cate"])
def test_a_planted_surface_in_the_frame_is_refused_at_the_door(surface):
    def leaking(round_index, plan):
        frame, truth = simulated()(round_index, plan)
        return frame.assign(clv=getattr(truth, surface)[:, -1].astype(np.float32)), truth

    leaking.columns = simulated().columns
    exp = experiment(generator=leaking)
    with pytest.raises(DataError, match=f"'clv' is the planted {surface} of arm 'free_ship'"):
        quietly(exp.start)
    assert exp.current_round_idx == 0


def test_features_that_only_go_with_the_truth_are_let_pass():
    x = np.linspace(0.1, 0.4, 5)
    truth = GroundTruth(("a", "b"), np.column_stack([x, np.full(5, 0.2)]), np.full((5, 2), 10.0))
    refuse_truth_columns(pd.DataFrame({"x": x + 0.01, "same": np.full(5, 0.2)}), truth)
    with pytest.raises(DataError, match="planted rpv of arm 'a'"):
        refuse_truth_columns(pd.DataFrame({"x": 10 * x}), truth)
