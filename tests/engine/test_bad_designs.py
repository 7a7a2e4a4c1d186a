"""Designs that contradict themselves are refused before anything is served."""

import numpy as np
import pytest
from decision_cases import ARMS

from pytyche_engine.allocation import (
    ExplicitSchedule,
    GeometricSchedule,
    check_design,
)
from pytyche_engine.contracts import (
    BaselinePolicy,
    Cell,
    DecisionThresholds,
    DesignError,
    Money,
    UniformPolicy,
)
from pytyche_engine.experiment import sequential_experiment


def design(**changes):
    asked = {
        "treatments": list(ARMS),
        "schedule_or_sizes": GeometricSchedule(initial=2000, growth=2.0, n_rounds=3),
        **changes,
    }
    return check_design(**asked)


def cells(*weights, ids=("control", "explore")):
    policies = (BaselinePolicy(), UniformPolicy(ARMS))
    return [Cell(i, p, w) for i, p, w in zip(ids, policies, weights, strict=True)]


def test_the_tutorials_design_holds():
    d = design(min_control_weight=0.05, min_explore_weight=0.05, max_segment_depth=3)
    assert d.arms == ARMS
    assert d.first_plan.n_visitors == 2000
    assert [c.weight for c in d.first_plan.cells] == [0.5, 0.5]
    assert d.notices == ()


def test_a_list_of_sizes_is_accepted():
    assert design(schedule_or_sizes=[900, 900]).schedule == ExplicitSchedule((900, 900))


def test_own_cells_for_the_first_round():
    d = design(cells=cells(0.4, 0.6))
    assert [c.weight for c in d.first_plan.cells] == [0.4, 0.6]


def test_a_control_arm_of_another_name_is_stated():
    d = design(treatments=["a", "b"])
    assert d.arms == ("a", "b")
    assert d.notices == ("'a' is taken as the control arm, as it comes first.",)


def test_text_of_numpy_is_text():
    d = design(treatments=np.array(["control", "b"]))
    assert d.arms == ("control", "b")
    assert type(d.arms[1]) is str


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells": lambda: cells(0.5, 0.3)}, "must add up to 1; they add up to 0.8"),
        ({"cells": lambda: cells(1.5, -0.5)}, "weight of cell 'control' is 1.5"),
        ({"cells": lambda: cells(0.5, -0.5)}, "weight of cell 'explore' is -0.5"),
        ({"cells": lambda: cells(0.5, 0.5, ids=("control", "control"))}, "must be unique"),
        ({"cells": lambda: cells(0.5, 0.5, ids=("base", "explore"))}, "no cell 'control'"),
        ({"cells": list}, "at least one cell"),
        (
            {"cells": lambda: [*cells(0.5, 0.4), Cell("x", UniformPolicy(("tv",)), 0.1)]},
            r"unknown arm\(s\) \['tv'\]",
        ),
        ({"min_control_weight": 1.0}, "'min_control_weight' is 1.0; use a share"),
        ({"min_explore_weight": 1.5}, "'min_explore_weight' is 1.5; use a share"),
        ({"min_control_weight": -0.2}, "'min_control_weight' is -0.2; use a share"),
        ({"min_control_weight": 0.6, "min_explore_weight": 0.4}, "leave nothing for Optimized"),
        ({"schedule_or_sizes": 900}, "use a list of round sizes such as"),
        ({"schedule_or_sizes": [900, -1]}, "Round 2 of the schedule is -1"),
        ({"schedule_or_sizes": []}, "schedule is empty"),
        ({"max_segment_depth": 0}, "'max_segment_depth' is 0; use a whole number from 1 to 3"),
        ({"max_segment_depth": 4}, "from 1 to 3"),
        ({"max_segment_depth": 2.5}, "from 1 to 3"),
        ({"min_segment_share": 0.7}, "'min_segment_share' is 0.7; use a share above 0"),
        ({"min_segment_share": 0}, "'min_segment_share' is 0"),
        ({"min_segment_share": "10%"}, "'min_segment_share' is '10%'"),
        ({"treatments": "control"}, "must be a list of names, control first; got the text"),
        ({"treatments": {"control": 1}}, "must be a list or tuple of names"),
        ({"treatments": ["control", "a", "a"]}, r"\['a'\] is used more than once"),
        ({"treatments": ["control"]}, "at least one treatment"),
        ({"treatments": []}, "at least one treatment"),
        ({"treatments": ["control", 3]}, "Arm names must be text; got 3"),
        ({"treatments": ["control", " "]}, "An arm has an empty name"),
        ({"treatments": ["a", "control"]}, r"control comes first: \['control', 'a'\]"),
    ],
)
def test_a_bad_design_is_refused_with_what_to_write_instead(changes, message):
    with pytest.raises(DesignError, match=message):
        design(**{k: v() if callable(v) else v for k, v in changes.items()})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DecisionThresholds(p_positive="0.9"), "'p_positive' .* is '0.9'; use a prob"),
        (lambda: DecisionThresholds(harm=1.0), "'harm' of the decision thresholds is 1.0; use"),
        (lambda: DecisionThresholds(loss_tolerance=Money(-1)), r"Money\(amount=-1\); use a share"),
        (lambda: DecisionThresholds(practical_effect=float("inf")), "is inf; use a share"),
        (lambda: Cell("x", BaselinePolicy(), "0.1"), "weight of cell 'x' is '0.1'; use 0 to 1"),
        (lambda: design(min_control_weight=float("nan")), "'min_control_weight' is nan; use a"),
    ],
)
def test_numbers_that_are_none_are_refused_in_words(make, message):
    with pytest.raises(DesignError, match=message):
        make()


@pytest.mark.parametrize("visitors", [float("nan"), float("inf"), 2.5, 0, True, "many"])
def test_a_year_has_a_whole_number_of_visitors(visitors):
    with pytest.raises(DesignError, match=r"'visitors_per_year' is .*; use a whole number"):
        sequential_experiment(
            schedule=[1_000], treatments=["control", "a"], visitors_per_year=visitors
        )
