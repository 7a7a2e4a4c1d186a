"""The prose never contradicts the figures, whatever they are."""

import itertools
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pytyche_engine.contracts import ClaimLevel, Decision, GraduationCandidate
from pytyche_engine.contracts.decisions import SustainedRound
from pytyche_engine.contracts.verdicts import Verdict, Worth
from pytyche_engine.experiment import narration

sys.path.insert(0, str(Path(__file__).parents[1] / "lab"))
from rounds import ARMS, finished_round, plan


def a_round(
    index=1, decision=Decision.SHIP, converged=True, stability=0.9, effective=True, split=True
):
    done = finished_round(index)
    positive = 0.99 if effective else 0.6
    segments = tuple(
        replace(
            s,
            stability_score=stability,
            probability_positive=dict.fromkeys(s.gates, positive),
        )
        for s in done.analysis.segments
    )
    if not split:
        segments = (replace(segments[0], rule=type(segments[0].rule)(), population_share=1.0),)
    return replace(
        done,
        analysis=replace(
            done.analysis,
            converged=converged,
            search=replace(done.analysis.search, segments=segments, targeting_pays=split),
            recommendation=replace(done.analysis.recommendation, decision=decision),
        ),
    )


def candidates_of(done, count):
    return tuple(
        GraduationCandidate(
            ARMS[1],
            segment,
            (SustainedRound(done.round_idx, done.analysis.recommendation, None),) * 2,
        )
        for segment in done.analysis.segments[:count]
    )


CASES = [
    case
    for case in itertools.product(
        Decision, (True, False), (0.5, 0.8, 1.0), (True, False), (True, False), (0, 1), (1, 2)
    )
    if case[1] or case[5] == 0  # an unconverged round has no candidates
]


@pytest.mark.parametrize(
    ("decision", "converged", "stability", "effective", "split", "n_candidates", "n_rounds"), CASES
)
def test_sentences_and_predicates_agree(
    decision, converged, stability, effective, split, n_candidates, n_rounds
):
    shape = {
        "converged": converged,
        "stability": stability,
        "effective": effective,
        "split": split,
    }
    rounds = [a_round(i, decision, **shape) for i in range(n_rounds)]
    done = rounds[-1]
    candidates = candidates_of(done, n_candidates)
    credible = narration.credible_segments(done)
    level = narration.confidence(rounds, candidates)
    text = narration.summary(rounds, candidates, plan(n_rounds))

    assert f"{n_rounds} round(s) completed; confidence is {level}." in text
    assert bool(credible) == (converged and stability >= 0.8 and effective and split)
    assert bool(credible) == (" stable and respond" in text)
    assert all(text.count(f"{s.id} ({s.rule})") >= 1 for s in credible)
    assert ("No split of the visitors pays" in text) == (not split)
    assert ("Graduation candidates: none." in text) == (not candidates)
    for c in candidates:
        where = f"in segment {c.segment.id}" if c.segment.rule.clauses else "for everyone"
        assert text.count(f"{c.treatment} {where}") == 1
        assert c.claim_level.label in text
    assert done.summary_one_line() in text
    assert f"{decision} '{ARMS[1]}'" in text
    for other in set(Decision) - {decision}:
        assert f"{other} '" not in text
    if not converged:
        assert level == "low"
        assert "unconverged" in text
    if level == "high":
        assert decision is not Decision.CONTINUE
        assert bool(candidates) == (decision is Decision.SHIP)
    if level == "low":
        assert not candidates
        assert not credible
    assert ("The verdict is that of the round before" in text) == (n_rounds == 2)


def test_every_level_of_confidence_occurs():
    levels = {
        narration.confidence([a_round(decision=d)], candidates_of(a_round(), n))
        for d, n in itertools.product(Decision, (0, 1))
    } | {narration.confidence([a_round(converged=False)], ())}
    assert levels == {"high", "medium", "low"}


def test_a_stop_has_to_last_before_it_is_sure():
    stop = a_round(decision=Decision.STOP)
    assert narration.confidence([stop], ()) == "medium"
    assert narration.confidence([a_round(), stop], ()) == "medium"
    assert narration.confidence([stop, stop], ()) == "high"


def test_exploratory_and_unconverged_segments_are_not_credible():
    done = a_round()
    exploratory = dict.fromkeys(ARMS[1:], ClaimLevel.EXPLORATORY)
    for change in ({"claims": exploratory}, {"converged": False}):
        changed = tuple(replace(s, **change) for s in done.analysis.segments)
        search = replace(done.analysis.search, segments=changed)
        other = replace(done, analysis=replace(done.analysis, search=search))
        assert narration.credible_segments(other) == ()


def test_a_segment_with_another_verdict_is_named_as_an_exception():
    done = a_round(decision=Decision.SHIP)
    main = done.analysis.recommendation
    stop = replace(main, decision=Decision.STOP, reason="It does harm there.")
    everyone = done.analysis.everyone
    verdicts = tuple(
        Verdict(segment, stop if segment.id == "S2" else main, Worth(main.lift, None, None), "")
        for segment in (everyone, *done.analysis.segments)
    )
    told = replace(done, analysis=replace(done.analysis, verdicts=verdicts))
    text = narration.summary([told], (), plan(2))
    assert "one arm for everyone; on 'low_promo' for some of them it is: STOP in S2" in text
    assert "in S1" not in text
    assert "for some of them" not in narration.summary([done], (), plan(2))


def test_stability_can_be_asked_for():
    done = a_round(stability=0.7)
    assert narration.credible_segments(done) == ()
    assert len(narration.credible_segments(done, 0.6)) == 2


def test_a_changed_verdict_is_told_with_both_verdicts():
    rounds = [a_round(0, Decision.CONTINUE), a_round(1, Decision.SHIP)]
    text = narration.summary(rounds, (), plan(2))
    assert f"The verdict changed from CONTINUE '{ARMS[1]}' to SHIP '{ARMS[1]}'." in text


def test_before_the_first_round():
    assert narration.confidence([], ()) == "low"
    assert narration.summary([], (), plan(0)) == (
        "No round has run yet. Next round: 2,000 visitors, split control 5%, explore 95%."
    )


def test_after_the_last_round():
    text = narration.summary([a_round()], (), plan(2, n=None))
    assert "no further rounds (the schedule is exhausted)" in text


def test_probabilities_are_never_equal_to_an_inequality():
    done = finished_round()
    assert "(P(lift>0)>0.99, uncalibrated)" in done.summary_one_line()
    assert "low_promo P>0.99" in done.analysis.segment_table().text()
    assert "control P=0.70" in done.analysis.segment_table().text()
