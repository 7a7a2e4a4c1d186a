from dataclasses import replace

import numpy as np
import pytest
from decision_cases import normal_draws, segment

from pytyche_engine.contracts import (
    ClaimError,
    ClaimLevel,
    Decision,
    DesignError,
    Estimate,
    Levels,
    Rule,
    Threshold,
)
from pytyche_engine.decisions import (
    ExpectedLossRule,
    RoundEvidence,
    graduation_candidates,
    lacking,
    require_claim,
)

HONEST = ClaimLevel.HONEST_ESTIMATE
GOOD, BAD = [2.0, 2.3, 1.9], [2.0, 2.01, 1.9]
S1 = segment("S1", Rule((Threshold("depth", ">", 1.07424),)), claim_level=HONEST)
S2 = segment("S2", Rule((Threshold("depth", "<=", 1.07424),)), claim_level=ClaimLevel.CONFIRMED)
S1, S2 = (replace(s, held_out=s.gates) for s in (S1, S2))


OWN = {"low_promo": S1.gates["low_promo"]}


def evidence(*means, index=0, n=1000, converged=True, sd=0.03, size=1000.0):
    """A round whose posterior has these arm means, one list a rule."""

    def draws(rules):
        assert len(rules) == len(means)
        per_group = [normal_draws(m, sd) for m in means]
        return replace(
            per_group[0],
            groups=tuple(map(str, rules)),
            size=np.full(len(rules), size),
            rpv=np.concatenate([d.rpv for d in per_group], axis=1),
        )

    return RoundEvidence(index, n, converged, draws, lambda _rule: OWN)


def candidates(rounds, segments=(S1,), rule=None, **options):
    return graduation_candidates(
        segments, rounds, ExpectedLossRule() if rule is None else rule, next_size=None, **options
    )


@pytest.mark.parametrize(
    ("history", "sustained"),
    [
        ([GOOD], None),
        ([GOOD, GOOD], 2),
        ([GOOD, GOOD, GOOD], 3),
        ([BAD, GOOD, GOOD], 2),
        ([GOOD, BAD, GOOD], None),
        ([GOOD, GOOD, BAD], None),
        ([GOOD, BAD, GOOD, GOOD], 2),
    ],
)
def test_only_the_latest_consecutive_rounds_count(history, sustained):
    found = candidates([evidence(mean) for mean in history])
    assert [(c.treatment, c.sustained_rounds) for c in found] == (
        [] if sustained is None else [("low_promo", sustained)]
    )


def test_the_operator_can_ask_for_more_or_fewer_rounds():
    rounds = [evidence(GOOD), evidence(GOOD)]
    assert candidates(rounds, sustained_rounds=3) == ()
    assert len(candidates(rounds[:1], sustained_rounds=1)) == 1
    assert len(candidates(rounds, rule=ExpectedLossRule(sustained_rounds=1))) == 1


def test_each_segment_is_put_to_every_round_by_its_rule():
    asked = []
    base = evidence(GOOD, BAD)

    def draws(rules):
        asked.append(tuple(rules))
        return base.draws(rules)

    found = candidates([replace(base, draws=draws)] * 2, (S1, S2))
    assert asked == [(S1.rule, S2.rule)] * 2
    assert [c.segment.id for c in found] == ["S1"]


def test_the_latest_recommendation_says_ship_and_carries_the_evidence():
    (c,) = graduation_candidates(
        (S1,), [evidence(BAD, n=10), evidence(GOOD, n=20), evidence(GOOD, n=40, sd=0.02)],
        ExpectedLossRule(), next_size=80,
    )  # fmt: skip
    r = c.latest_recommendation
    assert (r.decision, r.treatment) == (Decision.SHIP, "low_promo")
    assert r.lift.sd == pytest.approx(0.02 * 2**0.5, rel=0.02)
    assert r.probability_positive > 0.99


def test_a_candidate_says_what_each_round_said_by_itself():
    (c,) = candidates([evidence(BAD, index=0), evidence(GOOD, index=1), evidence(GOOD, index=2)])
    assert [r.round_index for r in c.rounds] == [1, 2]
    assert [r.own_lift for r in c.rounds] == [OWN["low_promo"]] * 2
    assert "round 2: lift +0.3" in repr(c)
    assert "on its own visitors" in repr(c)
    silent = [replace(evidence(GOOD), own_lifts=lambda _rule: {})] * 2
    assert "too few orders of its own" in repr(candidates(silent)[0])


def test_a_segment_on_which_the_chains_differ_does_not_graduate():
    assert candidates([evidence(GOOD)] * 2, (replace(S1, converged=False),)) == ()


def test_two_equally_good_treatments_are_both_candidates_smallest_loss_first():
    rounds = [evidence([2.0, 2.5, 2.501], sd=0.004)] * 2
    found = candidates(rounds)
    assert [c.treatment for c in found] == ["free_ship", "low_promo"]


def test_an_unconverged_round_never_passes():
    good, unsure = evidence(GOOD), evidence(GOOD, converged=False)
    assert candidates([good, unsure]) == ()
    assert candidates([good, unsure, good]) == ()
    (c,) = candidates([unsure, good, good])
    assert c.sustained_rounds == 2


def test_a_round_that_saw_nobody_of_the_segment_does_not_pass():
    assert candidates([evidence(GOOD, size=0.0), evidence(GOOD)]) == ()


def test_exploratory_segments_do_not_graduate():
    exploratory = replace(S1, claims=dict.fromkeys(S1.gates, ClaimLevel.EXPLORATORY))
    rounds = [evidence(GOOD)] * 2  # asks for one rule: the exploratory one is not even judged
    assert [c.segment.id for c in candidates(rounds, segments=(exploratory, S2))] == ["S2"]
    assert candidates(rounds, segments=(exploratory,)) == ()


@pytest.mark.parametrize("held_out", [{}, {"low_promo": Estimate(-0.01, -0.2, 0.2, 0.1)}])
def test_a_treatment_graduates_only_with_a_lift_where_nobody_chose_it(held_out):
    assert candidates([evidence(GOOD)] * 2, segments=(replace(S1, held_out=held_out),)) == ()


def test_rounds_before_the_one_that_found_the_rule_do_not_count():
    rounds = [evidence(GOOD, index=i) for i in range(4)]
    assert [r.round_index for r in candidates(rounds)[0].rounds] == [0, 1, 2, 3]
    found = candidates(rounds, segments=(replace(S1, found_in=2),))
    assert [r.round_index for r in found[0].rounds] == [2, 3]
    assert candidates(rounds, segments=(replace(S1, found_in=3),)) == ()
    everyone = replace(S1, rule=Rule(), found_in=3)
    assert len(candidates(rounds, segments=(everyone,))[0].rounds) == 4


def test_a_claim_on_one_treatment_is_none_on_another():
    rounds = [evidence([2.0, 2.5, 2.501], sd=0.004, index=i) for i in range(2)]
    mixed = replace(S1, claims={"low_promo": HONEST, "free_ship": ClaimLevel.EXPLORATORY})
    assert [c.treatment for c in candidates(rounds, segments=(mixed,))] == ["low_promo"]


def test_what_a_pair_lacks_is_said():
    assert lacking(S1, "low_promo") == ""
    assert "chains" in lacking(replace(S1, converged=False), "low_promo")
    assert "exploratory" in lacking(segment("S1", S1.rule), "low_promo")
    assert "Too few" in lacking(replace(S1, held_out={}), "low_promo")
    below = {"low_promo": Estimate(-0.01, -0.2, 0.2, 0.1)}
    assert "not above zero" in lacking(replace(S1, held_out=below), "low_promo")


def test_a_claim_can_be_required():
    levels = [ClaimLevel.EXPLORATORY, ClaimLevel.HONEST_ESTIMATE, ClaimLevel.CONFIRMED]
    assert sorted(levels, reverse=True) == [levels[2], levels[1], levels[0]]
    assert max(levels) is ClaimLevel.CONFIRMED
    assert ClaimLevel.CONFIRMED >= ClaimLevel.HONEST_ESTIMATE >= ClaimLevel.HONEST_ESTIMATE
    assert not ClaimLevel.CONFIRMED < ClaimLevel.EXPLORATORY
    assert not ClaimLevel.EXPLORATORY > ClaimLevel.EXPLORATORY
    for have in levels:
        for need in levels:
            held = replace(S1, claims=dict.fromkeys(S1.gates, have), claim_reason="Because.")
            if levels.index(have) >= levels.index(need):
                require_claim(held, need)
            else:
                with pytest.raises(ClaimError, match=f"'S1' .* is {have.label}: Because"):
                    require_claim(held, need)
    with pytest.raises(ClaimError, match=r"same visitors.*'honest estimate' is needed"):
        require_claim(segment("S1", S1.rule))


def test_nothing_to_judge_gives_nothing():
    assert candidates([]) == ()
    assert candidates([evidence(GOOD)] * 2, segments=()) == ()


def test_a_candidate_reads_as_in_the_tutorial_and_states_its_claim_level():
    (c,) = candidates([evidence(GOOD)] * 3)
    assert repr(c).splitlines() == [
        "GraduationCandidate — 'low_promo' @ depth > 1.07424, sustained 3 round(s)",
        "expected loss if shipped: 0.0000/visitor P(lift > 0) > 0.99",
        "value of one more round: 0.0000/visitor",
        *["round 1: lift +0.3000 on all data, +0.2000 [+0.1000, +0.3000] on its own visitors"] * 3,
        "claim level: honest estimate",
    ]
    confirmed = candidates([evidence(GOOD)] * 2, segments=(S2,))[0]
    assert "claim level: confirmed" in repr(confirmed)
    evil = replace(
        c,
        segment=replace(
            segment("S", Rule((Levels("<script>", ("<img>",)),))), claims={"<b>": HONEST}
        ),
        treatment="<b>",
    )
    html = evil._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "&lt;img&gt;" in html
    assert "&lt;b&gt;" in html


@pytest.mark.parametrize(
    "bad",
    [
        {"sustained_rounds": 0},
        {"sustained_rounds": 1.5},
        {"sustained_rounds": True},
        {"expected_loss_max": -0.1},
        {"expected_loss_max": float("nan")},
        {"p_positive_threshold": 95},
        {"p_better_threshold": 0},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(bad):
    with pytest.raises(DesignError, match=next(iter(bad))):
        ExpectedLossRule(**bad)
    if "sustained_rounds" in bad:
        with pytest.raises(DesignError, match="sustained_rounds"):
            candidates([evidence(GOOD)], **bad)
