"""Which arms the next round's Optimized cell leaves out, by evidence and by the operator."""

from collections.abc import Sequence
from dataclasses import replace

from pytyche_engine.allocation import (
    ArmEvidence,
    Design,
    arms_to_drop,
    arms_to_revive,
    check_dropped,
    propose,
)
from pytyche_engine.contracts.actions import Action, DropArm, ReviveArm
from pytyche_engine.contracts.dropped import DroppedArm, RevivedArm
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.experiment.analysis import RoundAnalysis
from pytyche_engine.experiment.round import Round


def by_evidence(
    latest: ArmEvidence | None, before: Sequence[Round], remembered_from: int, currency: str
) -> tuple[tuple[DroppedArm, ...], tuple[RevivedArm, ...]]:
    """The arms that are dropped once a round's evidence is in, and all that ever came back.

    Rounds that were fitted to visitors who are forgotten by now are no evidence, nor are
    rounds whose fit did not converge.

    Args:
        latest: what the round says about the arms; None if its fit did not converge.
        before: the rounds before it.
        remembered_from: index of the first round that it was fitted to.
        currency: as money is written in reasons.
    """
    dropped = before[-1].dropped if before else ()
    revived = before[-1].revived if before else ()
    if latest is None:
        return dropped, revived
    history = [
        *(
            arm_evidence(r.round_idx, r.analysis)
            for r in before
            if r.remembered_from == remembered_from and r.analysis.converged
        ),
        latest,
    ]
    back = arms_to_revive(history, dropped)
    dropped = tuple(d for d in dropped if d.arm not in {r.arm for r in back})
    revived = (*revived, *back)
    gone = arms_to_drop(
        history, list(latest.everyone), dropped=dropped, revived=revived, currency=currency
    )
    return (*dropped, *gone), revived


def by_operator(done: Round, actions: Sequence[Action], finished: int, design: Design) -> Round:
    """The latest round with what the operator dropped and revived after it.

    Args:
        done: the latest round.
        actions: all of the operator's decisions.
        finished: how many rounds are finished, `done` included.
        design: what the operator fixed.

    Raises:
        DesignError: if control would be dropped, an arm is unknown, or fewer than two remain.
    """
    dropped, revived = done.dropped, done.revived
    for action in actions:
        if action.made_after != finished:
            continue
        if isinstance(action, DropArm):
            others = tuple(d for d in dropped if d.arm != action.arm)
            dropped = (*others, DroppedArm(action.arm, finished, action.reason, "operator"))
            check_dropped(design.arms, dropped)
        elif isinstance(action, ReviveArm):
            dropped = tuple(d for d in dropped if d.arm != action.arm)
            back = RevivedArm(action.arm, finished, action.reason, "operator")
            revived = (*(r for r in revived if r != back), back)
    if (dropped, revived) == (done.dropped, done.revived):
        return done
    plan = proposal(done.round_idx, done.analysis, dropped, design)
    return replace(done, dropped=dropped, revived=revived, next_recommendation=plan)


def proposal(
    round_idx: int, analysis: RoundAnalysis, dropped: Sequence[DroppedArm], design: Design
) -> Plan:
    """The plan that a round proposes for the next one."""
    return propose(
        analysis.search,
        design.arms,
        analysis.everyone.arm_best_probabilities,
        round_index=round_idx + 1,
        n_visitors=design.schedule.next_round_size(round_idx + 1),
        min_control_weight=design.min_control_weight,
        min_explore_weight=design.min_explore_weight,
        allocation=design.allocation,
        dropped=dropped,
    )


def arm_evidence(round_idx: int, analysis: RoundAnalysis) -> ArmEvidence:
    """What a round says about the arms, control first."""
    return ArmEvidence(
        round_idx,
        analysis.everyone.arm_best_probabilities,
        {s.id: s.arm_best_probabilities for s in analysis.all_segments[1:]},
        {c.treatment: c.expected_loss for c in analysis.comparisons if c.expected_loss is not None},
    )
