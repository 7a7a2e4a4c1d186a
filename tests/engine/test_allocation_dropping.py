"""Arms that the evidence proposes to drop and to revive, and plans without them."""

import json

import numpy as np
import pytest
from decision_cases import ARMS, search, segment, visitors

from pytyche_engine.allocation import (
    ArmEvidence,
    arms_to_drop,
    arms_to_revive,
    propose,
)
from pytyche_engine.contracts import DesignError, Rule, Threshold
from pytyche_engine.contracts.dropped import DroppedArm, RevivedArm
from pytyche_engine.contracts.plans import plan_from_dict, plan_to_dict

FOUR = ("control", "a", "b", "c")


def seen(round_index, everyone, *segments, loss=()):
    """One round's P(best) over everyone and in each segment, arms in order."""
    return ArmEvidence(
        round_index,
        dict(zip(FOUR, everyone, strict=True)),
        {f"S{i}": dict(zip(FOUR, p, strict=True)) for i, p in enumerate(segments, 1)},
        dict(loss),
    )


def dropped(arm="c", since_round=2, by="evidence"):
    return DroppedArm(arm, since_round, "it never led", by)


LOW = (0.3, 0.4, 0.295, 0.005)
HIGH = (0.3, 0.4, 0.2, 0.1)


def names(changes):
    return [change.arm for change in changes]


def test_an_arm_that_is_improbable_everywhere_in_two_rounds_is_proposed():
    (d,) = arms_to_drop([seen(0, LOW, LOW, LOW), seen(1, LOW, LOW, LOW)], FOUR)
    assert (d.arm, d.since_round, d.by) == ("c", 2, "evidence")
    assert d.reason == "P(best) was below 0.01 over everyone and in every segment in rounds 1 and 2"
    told = seen(1, LOW, LOW, loss={"c": 0.12})
    (d,) = arms_to_drop([seen(0, LOW), told], FOUR, currency="EUR")
    assert d.reason == (
        "P(best) was below 0.01 over everyone in rounds 1 and 2; its expected loss is EUR 0.1200 "
        "per visitor"
    )


@pytest.mark.parametrize(
    "history",
    [
        [],
        [seen(1, LOW)],
        [seen(0, HIGH), seen(1, LOW)],
        [seen(0, LOW), seen(1, HIGH)],
        [seen(0, LOW), seen(1, LOW), seen(2, HIGH)],
        [seen(0, LOW, LOW, HIGH), seen(1, LOW, LOW, LOW)],  # one segment in one round
        [seen(0, LOW, LOW), seen(1, LOW, HIGH)],
        [seen(0, HIGH, LOW), seen(1, LOW, LOW)],  # everyone
        [seen(0, LOW), seen(2, LOW)],  # not consecutive
        [seen(0, (0.3, 0.4, 0.29, 0.01)), seen(1, LOW)],  # at the limit, not below
    ],
)
def test_anything_less_is_not_enough(history):
    assert arms_to_drop(history, FOUR) == ()


def test_control_and_one_treatment_always_remain():
    only_c = (0.0, 0.001, 0.002, 0.997)
    history = [seen(0, only_c), seen(1, only_c)]
    assert names(arms_to_drop(history, FOUR)) == ["a", "b"]
    only_control = (1.0, 0.001, 0.0, 0.002)
    history = [seen(0, only_control), seen(1, only_control)]
    assert names(arms_to_drop(history, FOUR)) == ["b", "a"]
    assert names(arms_to_drop(history, FOUR, dropped=[dropped("b")])) == ["a"]
    assert arms_to_drop(history, FOUR, dropped=[dropped("a"), dropped("b")]) == ()
    # Of equals, the one that loses less remains.
    none = (1.0, 0.0, 0.0, 0.0)
    history = [seen(0, none), seen(1, none, loss={"a": 0.3, "b": 0.1, "c": 0.2})]
    assert names(arms_to_drop(history, FOUR)) == ["a", "c"]
    two = [ArmEvidence(r, {"control": 1.0, "a": 0.0}) for r in (0, 1)]
    assert arms_to_drop(two, ("control", "a")) == ()


def test_a_dropped_arm_comes_back_when_it_is_probable_anywhere_later():
    history = [seen(0, LOW), seen(1, LOW), seen(2, LOW, LOW, HIGH)]
    (r,) = arms_to_revive(history, [dropped()])
    assert (r.arm, r.since_round, r.by) == ("c", 3, "evidence")
    assert r.reason == "P(best) rose to 0.1 in segment 'S2' in round 3, above 0.05"
    (r,) = arms_to_revive([seen(2, HIGH)], [dropped()])
    assert "over everyone" in r.reason


def test_between_the_limits_nothing_changes():
    middle = (0.3, 0.4, 0.26, 0.04)
    history = [seen(r, middle) for r in range(4)]
    assert arms_to_drop(history, FOUR) == ()
    assert arms_to_revive(history, [dropped()]) == ()
    assert arms_to_revive([seen(2, (0.3, 0.4, 0.25, 0.05))], [dropped()]) == ()  # at the limit


def test_only_rounds_after_the_drop_revive():
    assert arms_to_revive([seen(1, HIGH)], [dropped(since_round=2)]) == ()
    assert arms_to_revive([], [dropped()]) == ()


def test_what_the_operator_dropped_the_evidence_leaves_alone():
    assert arms_to_revive([seen(2, HIGH)], [dropped(by="operator")]) == ()


def test_a_revived_arm_is_judged_by_what_comes_after():
    low = [seen(r, LOW) for r in range(4)]
    back = [RevivedArm("c", 2, "a new creative", "operator")]
    assert arms_to_drop(low[:3], FOUR, revived=back) == ()
    assert names(arms_to_drop(low, FOUR, revived=back)) == ["c"]
    # Of several revivals the last counts.
    assert arms_to_drop(low, FOUR, revived=[RevivedArm("c", 3, "again", "operator"), *back]) == ()


def test_a_noisy_arm_does_not_come_and_go():
    """P(best) wanders between the limits and beyond; the arm changes sides rarely."""
    rng = np.random.default_rng(0)
    history, gone, changes = [], (), 0
    for r in range(400):
        p = float(np.exp(rng.normal(np.log(0.015), 0.6)))
        history.append(seen(r, (0.4, 0.3, 0.3 - p, p)))
        if revived := names(arms_to_revive(history, gone)):
            gone = tuple(d for d in gone if d.arm not in revived)
            changes += 1
        elif new := arms_to_drop(history, FOUR, dropped=gone):
            gone = (*gone, *new)
            changes += 1
    assert np.diff([h.everyone["c"] < 0.01 for h in history]).sum() > 100  # with one limit
    assert 2 < changes < 25


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: seen(0, (0.3, 0.4, 0.3, np.nan)), "P.best. of arm 'c' over everyone is nan"),
        (lambda: seen(0, LOW, (0.3, 0.4, 0.3, 1.2)), "arm 'c' in segment 'S1' is 1.2"),
        (
            lambda: ArmEvidence(0, {"control": 1.0, "a": 0.0}, {"S1": {"control": 1.0}}),
            r"Round 1 has no P\(best\) of \['a'\] in segment 'S1'",
        ),
        (
            lambda: arms_to_drop([ArmEvidence(r, {"control": 1.0}) for r in (0, 1)], FOUR),
            "Round 1 says nothing about arm 'a'",
        ),
        (lambda: DroppedArm("a", 1, " ", "operator"), "Dropping arm 'a' needs a reason"),
        (lambda: DroppedArm("a", -1, "x", "operator"), "index of a round, 0 or more; it is -1"),
        (lambda: DroppedArm("a", 1, "x", "me"), "not by 'me'"),
        (lambda: RevivedArm("a", 1, "", "operator"), "Reviving arm 'a' needs a reason"),
    ],
)
def test_evidence_and_changes_that_make_no_sense_are_refused(make, message):
    with pytest.raises(DesignError, match=message):
        make()


# Plans

DEEP = Rule((Threshold("depth", ">", 3.0),))
SHALLOW = Rule((Threshold("depth", "<=", 3.0),))  # missing depths match neither


def proposal(*, segments=((0.2, 0.7, 0.1), (0.3, 0.2, 0.5)), everyone=(0.2, 0.5, 0.3), **options):
    found = tuple(
        segment(f"S{i}", rule, best=best)
        for i, (rule, best) in enumerate(zip((DEEP, SHALLOW), segments, strict=True), 1)
    )
    asked = {"round_index": 3, "n_visitors": 4000, **options}
    one = search(found, targeting_pays=True)
    return propose(one, ARMS, dict(zip(ARMS, everyone, strict=True)), **asked)


GONE = DroppedArm("low_promo", 2, "P(best) was below 0.01.", "evidence")


@pytest.mark.parametrize("allocation", ["thompson", "top_two", "exploration_sampling"])
@pytest.mark.parametrize("everyone", [(0.2, 0.5, 0.3), (0.0, 1.0, 0.0)])
def test_a_dropped_arm_has_no_share_in_optimized_and_keeps_its_share_in_explore(
    allocation, everyone
):
    plan = proposal(
        segments=[(0.0, 1.0, 0.0), (0.6, 0.001, 0.399)],
        everyone=everyone,
        allocation=allocation,
        dropped=[GONE],
        min_explore_weight=0.1,
    )
    features = visitors(300)
    _, explore, optimized = plan.cell_arm_shares(features)
    assert (optimized[:, 1] == 0).all()
    assert (optimized[:, [0, 2]] >= 0.02 / 2).all()  # the floor is among those that remain
    np.testing.assert_allclose(optimized.sum(axis=1), 1)
    np.testing.assert_allclose(explore, 1 / 3)
    np.testing.assert_allclose(plan.propensity(features)[:, 1], 0.1 / 3)
    assert set(plan.cells[2].policy.otherwise) == set(ARMS)
    assert plan_from_dict(json.loads(json.dumps(plan_to_dict(plan)))) == plan


def test_the_others_share_as_if_the_dropped_arm_were_not_the_best():
    routes = proposal(dropped=[GONE]).cells[2].policy.routes
    assert routes[0].shares == pytest.approx(
        {"control": 2 / 3, "low_promo": 0.0, "free_ship": 1 / 3}
    )
    # Where every draw was for the dropped arm, nothing tells the others apart.
    certain = proposal(segments=[(0, 1, 0), (0, 1, 0)], dropped=[GONE]).cells[2].policy
    assert certain.routes[1].shares == {"control": 0.5, "low_promo": 0.0, "free_ship": 0.5}


def test_the_plan_says_which_arm_is_dropped_and_why():
    plan = proposal(dropped=[GONE])
    assert plan.notices == (
        "Cell 'optimized' does not serve 'low_promo' since round 3 (dropped by the evidence): "
        "P(best) was below 0.01.",
    )
    words = "policy tree routing over 2 segments with per-leaf Thompson allocation"
    assert f"{words}; dropped: 'low_promo'" in repr(plan)
    assert repr(plan).endswith(plan.notices[0])
    evil = proposal(dropped=[DroppedArm("low_promo", 2, "<img src=x>", "operator")])
    assert "<img" not in evil._repr_html_()
    assert "dropped" not in repr(proposal())


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ([dropped("control")], r"Control \('control'\) cannot be dropped"),
        ([dropped("tv")], r"Unknown arm\(s\) \['tv'\] dropped; the arms are"),
        ([dropped("low_promo"), dropped("low_promo")], "dropped twice"),
        ([dropped("low_promo"), dropped("free_ship")], "has only 'control' to serve"),
    ],
)
def test_optimized_keeps_control_and_a_treatment(gone, message):
    with pytest.raises(DesignError, match=message):
        proposal(dropped=gone)


def test_a_policy_that_serves_a_dropped_arm_contradicts_itself():
    policy = proposal().cells[2].policy
    with pytest.raises(DesignError, match="'low_promo' is dropped, but a policy gives it"):
        type(policy)(policy.routes, policy.otherwise, dropped=(GONE,))
