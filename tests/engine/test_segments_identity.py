from dataclasses import replace

import numpy as np
import pytest
from decision_cases import segment

from pytyche_engine.contracts import Rule, Threshold
from pytyche_engine.segments.identity import carry_over, identify, new_ids, shared_members


def test_shared_members_are_jaccard_similarities():
    rng = np.random.default_rng(0)
    a, b = rng.integers(-1, 3, 200), rng.integers(-1, 4, 200)
    shared = shared_members(a, 3, b, 4)
    assert shared.shape == (3, 4)
    for i in range(3):
        for j in range(4):
            both, either = ((a == i) & (b == j)).sum(), ((a == i) | (b == j)).sum()
            assert shared[i, j] == pytest.approx(both / either)
    assert (shared_members(a, 3, np.full(200, -1), 1) == 0).all()


def test_carry_over_is_one_to_one_and_best_first():
    shared = np.array([[0.9, 0.6, 0.0], [0.8, 0.5, 0.1], [0.0, 0.0, 0.49]])
    # 0 takes 0; 1 would have liked 0 too and takes what is left; .49 is not enough
    assert carry_over(shared) == {0: 0, 1: 1}
    assert carry_over(np.zeros((0, 2))) == {}


def test_new_ids_are_never_used_twice():
    assert new_ids(2, ()) == ["S1", "S2"]
    assert new_ids(2, ("S2", "S10", "S0", "loyal", "S3x")) == ["S11", "S12"]


def test_ids_and_first_rounds_go_with_the_members():
    before = [
        replace(segment(i, Rule((Threshold("depth", ">", 0.0),))), first_seen=first)
        for i, first in (("S3", 0), ("S4", 1))
    ]
    shared = np.array([[0.1, 0.7], [0.3, 0.2]])
    assert identify(before, shared, ["S1", "S6"], latest=2) == [("S7", 2), ("S3", 0)]
    # without a list of ids, at least those of the round before are not given again
    assert identify(before, np.zeros((2, 1)), (), latest=2) == [("S5", 2)]
    assert identify((), np.zeros((0, 2)), (), latest=0) == [("S1", 0), ("S2", 0)]
