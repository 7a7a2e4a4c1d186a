from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from decision_cases import segment
from segment_cases import ARMS, arm_means, hurdle

from pytyche_engine.contracts import ClaimLevel, Estimate, Rule, Threshold
from pytyche_engine.segments import aipw_contrast, doubly_robust_scores
from pytyche_engine.segments.honest import HeldOut, claims, cross_fitted, held_out_lift
from pytyche_engine.segments.tree import Leaf, PolicyTree, Split

EXPLORATORY, HONEST, CONFIRMED = ClaimLevel
RULE = Rule((Threshold("x", ">", 0.0),))


def trial(n=4_000, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=n)})
    seen = hurdle(frame, np.tile([0.05, 0.06, 0.04], (n, 1)), rng)
    return seen, doubly_robust_scores(seen, arm_means(seen))


def test_the_held_out_lift_is_aipw_on_those_rows():
    seen, dr = trial()
    rows = seen.features["x"].to_numpy() > 0
    held = held_out_lift(seen, dr, rows)
    some = aipw_contrast(replace(dr, scores=dr.scores[rows], weight=dr.weight[rows]))
    assert held.n_rows == rows.sum()
    for a, arm in enumerate(ARMS):
        assert held.converters[arm] == ((seen.arm == a) & rows & seen.converted).sum()
        if a:
            assert held.lift[arm].mean == pytest.approx(some.lift[a])
            assert held.lift[arm].sd == pytest.approx(some.lift_se[a])
            normal = 1.2816 * some.lift_se[a]
            half = (held.lift[arm].high - held.lift[arm].low) / 2
            assert normal < half < 1.1 * normal  # a t interval at 80 %
            assert held.lift[arm].level == 0.8


def test_arms_that_hardly_anybody_bought_under_have_no_estimate():
    seen, dr = trial()
    few = np.flatnonzero((seen.arm == 2) & seen.converted)[4:]
    rows = np.ones(len(seen), dtype=bool)
    rows[few] = False
    held = held_out_lift(seen, dr, rows)
    assert (list(held.lift), held.converters["free_ship"]) == (["low_promo"], 4)
    rows[np.flatnonzero((seen.arm == 0) & seen.converted)] = False
    assert not held_out_lift(seen, dr, rows).lift


def fork(cut, left, right):
    below, above = Threshold("x", "<=", cut), Threshold("x", ">", cut)
    return PolicyTree(Split(Leaf(Rule((below,)), left), Leaf(Rule((above,)), right)))


def test_every_visitor_judges_the_segment_of_a_tree_that_did_not_see_them():
    x = np.arange(100) / 100
    frame, fold = pd.DataFrame({"x": x}), np.arange(100) % 5
    membership = (x > 0.5).astype(int)
    trees = [fork(c, 1, 2) for c in (0.5, 0.45, 0.5, 0.55, 0.5)]
    held = cross_fitted(trees, fold, frame, membership, [1, 2])
    cut = np.array([0.5, 0.45, 0.5, 0.55, 0.5])[fold]
    np.testing.assert_array_equal(held, (x > cut).astype(int))


def test_segments_that_fold_trees_do_not_find_again_are_judged_by_nobody():
    x = np.arange(100) / 100
    frame, fold = pd.DataFrame({"x": x}), np.arange(100) % 5
    membership = (x > 0.5).astype(int)
    good, other_arm, elsewhere = fork(0.5, 1, 2), fork(0.5, 1, 0), fork(0.9, 1, 2)
    # four of five are enough, and the fifth fold's visitors judge nothing
    held = cross_fitted([good] * 4 + [other_arm], fold, frame, membership, [1, 2])
    assert (held[fold == 4] == np.where(x[fold == 4] > 0.5, -1, 0)).all()
    assert (held[fold < 4] == membership[fold < 4]).all()
    # three are not
    held = cross_fitted([good] * 3 + [other_arm] * 2, fold, frame, membership, [1, 2])
    assert set(held[membership == 0]) == {0}
    assert set(held[membership == 1]) == {-1}
    held = cross_fitted([good] * 3 + [elsewhere] * 2, fold, frame, membership, [1, 2])
    assert 1 not in held


def held_out(mean=0.2, converters=(30, 30, 30), sd=0.05, freedom=50.0, n=900):
    estimate = Estimate(mean, mean - 0.06, mean + 0.06, sd)
    enough = [a for a, k in zip(ARMS[1:], converters[1:], strict=True) if k >= 5]
    return HeldOut(
        dict.fromkeys(enough, estimate), dict.fromkeys(enough, freedom),
        dict(zip(ARMS, converters, strict=True)), n,
    )  # fmt: skip


NEW = replace(segment("S1", RULE), found_in=2)  # its GATEs are 0.2
KEPT = replace(NEW, found_in=0)


@pytest.mark.parametrize(
    ("of", "held", "level", "why"),
    [
        (NEW, held_out(), HONEST, "900 visitors whom trees that had not seen"),
        (NEW, HeldOut({}, {}, dict.fromkeys(ARMS, 0), 0), EXPLORATORY, "again"),
        (NEW, held_out(converters=(30, 4, 30)), EXPLORATORY, "4 under 'low_promo' and 30 under"),
        (KEPT, held_out(), CONFIRMED, "came after its rule was chosen"),
        (KEPT, held_out(converters=(19, 30, 30)), HONEST, "19 under 'control'.*takes 20 each"),
        (KEPT, held_out(converters=(30, 19, 30)), HONEST, "19 under 'low_promo'"),
        (KEPT, held_out(converters=(30, 4, 30)), EXPLORATORY, "an estimate needs 5 each"),
        (KEPT, held_out(converters=(30, 30, 0)), CONFIRMED, "900 visitors"),
        (segment("S0", Rule()), held_out(), HONEST, "Everyone is no choice"),
        (NEW, held_out(0.35), EXPLORATORY, r"\+0.2000, is contradicted .* \+0.3500"),
        (KEPT, held_out(0.05), EXPLORATORY, "contradicted by 900 visitors"),
        (segment("S0", Rule()), held_out(-0.2), EXPLORATORY, "contradicted"),
        (NEW, held_out(0.3), HONEST, "trees"),  # 2 sd of two arms: p = .10
    ],
)
def test_the_claim_follows_from_the_evidence(of, held, level, why):
    found, reason = claims(of, held, latest=2)["low_promo"]
    assert found is level
    assert pd.Series([reason]).str.contains(why)[0], reason
    assert reason.endswith(".")


def test_every_treatment_has_a_claim_of_its_own():
    found = claims(KEPT, held_out(converters=(30, 30, 4)), latest=2)
    assert {arm: level for arm, (level, _) in found.items()} == {
        "low_promo": CONFIRMED,
        "free_ship": EXPLORATORY,
    }


def test_a_segment_that_got_another_arm_is_exploratory_again():
    found = claims(NEW, HeldOut({}, {}, dict.fromkeys(ARMS, 0), 0), latest=2, rearmed=True)
    assert {level for level, _ in found.values()} == {EXPLORATORY}
    assert "another arm since round 3" in found["low_promo"][1]


def test_a_right_model_is_rarely_contradicted():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(2_000):
        draws = rng.normal(0.2, 0.05, 2)
        lift = {a: Estimate(d, d, d, 0.05) for a, d in zip(ARMS[1:], draws, strict=True)}
        held = HeldOut(lift, dict.fromkeys(ARMS, 1e9), dict.fromkeys(ARMS, 30), 900)
        found.append(claims(NEW, held, latest=2)["low_promo"][0] is EXPLORATORY)
    assert 0.03 < np.mean(found) < 0.065
