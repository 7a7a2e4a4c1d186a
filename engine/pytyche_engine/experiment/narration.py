"""The experiment in prose. Every sentence follows from the same figures, so none contradict."""

from collections.abc import Sequence

from pytyche_engine.contracts.claims import ClaimLevel
from pytyche_engine.contracts.decisions import Decision, GraduationCandidate, Segment
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.experiment.round import Round

CREDIBLE_STABILITY = 0.80
"""Share of refits that must find a segment again before it counts as credible."""


def credible_segments(done: Round, stability: float = CREDIBLE_STABILITY) -> tuple[Segment, ...]:
    """Segments that refits find again and in which some arm's effect is not zero.

    Exploratory ones are not credible, and without convergence none is: such draws support no
    claim about anybody.
    """
    if not done.analysis.converged:
        return ()
    return tuple(
        s
        for s in done.analysis.segments
        if s.rule.clauses
        and s.stability_score >= stability
        and s.is_effective
        and s.converged
        and s.claim_level >= ClaimLevel.HONEST_ESTIMATE
    )


def confidence(rounds: Sequence[Round], candidates: Sequence[GraduationCandidate]) -> str:
    """How settled the experiment is.

    High: the fit converged, and the latest verdict is SHIP with a sustained candidate, or
    STOP with none and for the second round in a row. Medium: a sustained candidate, a credible
    segment or a settled verdict, but not these together. Low otherwise, and always without
    convergence.
    """
    if not rounds or not rounds[-1].analysis.converged:
        return "low"
    done = rounds[-1]
    decision = done.analysis.recommendation.decision
    lasting = len(rounds) > 1 and rounds[-2].analysis.recommendation.decision is decision
    if (decision is Decision.SHIP and candidates) or (
        decision is Decision.STOP and lasting and not candidates
    ):
        return "high"
    if candidates or credible_segments(done) or decision is not Decision.CONTINUE:
        return "medium"
    return "low"


def summary(rounds: Sequence[Round], candidates: Sequence[GraduationCandidate], plan: Plan) -> str:
    """The latest round in the context of the rounds before it."""
    if not rounds:
        return "No round has run yet. " + _next_round(plan)
    done = rounds[-1]
    level = confidence(rounds, candidates)
    paragraphs = [
        f"{len(rounds)} round(s) completed; confidence is {level}. "
        f"Latest: {done.summary_one_line()}",
        " ".join(
            part
            for part in (
                done.analysis.recommendation.reason,
                _segments(done),
                _exceptions(done),
                _change(rounds),
            )
            if part
        ),
        _next_round(plan),
        _candidates(candidates),
    ]
    return "\n".join(paragraphs)


def _segments(done: Round) -> str:
    if not done.analysis.search.targeting_pays:
        return "No split of the visitors pays: one arm for everyone serves them best."
    found = credible_segments(done)
    of = f"{len(done.analysis.segments)} segments"
    if not found:
        if not done.analysis.converged:
            return f"Nothing can be said of the {of} before a fit converges."
        return (
            f"None of the {of} is stable over refits, clearly different from zero and estimated "
            "on visitors who did not choose it."
        )
    names = ", ".join(f"{s.label} ({s.rule})" for s in found)
    respond = "is stable and responds" if len(found) == 1 else "are stable and respond"
    return f"Of the {of}, {len(found)} {respond}: {names}."


def _exceptions(done: Round) -> str:
    """Segments whose verdict on the recommended treatment is not everyone's."""
    main = done.analysis.recommendation
    other = [
        v
        for v in done.analysis.verdicts
        if v.segment.rule.clauses
        and v.arm == main.treatment
        and v.recommendation.decision is not main.decision
    ]
    if not other or not done.analysis.converged:
        return ""
    what = "; ".join(f"{v.recommendation.decision} in {v.segment.title}" for v in other)
    return (
        f"That is the verdict on one arm for everyone; on '{main.treatment}' for some of them it "
        f"is: {what}."
    )


def _change(rounds: Sequence[Round]) -> str:
    if len(rounds) < 2:
        return ""
    before, now = (r.analysis.recommendation for r in rounds[-2:])
    if (before.decision, before.treatment) == (now.decision, now.treatment):
        return f"The verdict is that of the round before, {now.decision} '{now.treatment}'."
    return (
        f"The verdict changed from {before.decision} '{before.treatment}' to {now.decision} "
        f"'{now.treatment}'."
    )


def _next_round(plan: Plan) -> str:
    size = (
        "no further rounds (the schedule is exhausted); if there were one, the split would be"
        if plan.n_visitors is None
        else f"{plan.n_visitors:,} visitors, split"
    )
    split = ", ".join(f"{cell.id} {cell.weight:.0%}" for cell in plan.cells)
    return f"Next round: {size} {split}."


def _candidates(candidates: Sequence[GraduationCandidate]) -> str:
    if not candidates:
        return "Graduation candidates: none."
    pairs = "; ".join(
        f"{c.treatment} in segment {c.segment.label} ({c.segment.rule}, {c.claim_level.label})"
        if c.segment.rule.clauses
        else f"{c.treatment} for everyone ({c.claim_level.label})"
        for c in candidates
    )
    return (
        "Graduation candidates (surfaced for the operator; nothing is graduated by itself): "
        f"{pairs}."
    )
