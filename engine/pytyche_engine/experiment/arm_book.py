"""The arms of an experiment, as an operator drops and revives them."""

from collections.abc import Callable, Iterator

from pytyche_engine.allocation import check_dropped
from pytyche_engine.contracts.actions import Action, DropArm, ReviveArm
from pytyche_engine.contracts.dropped import DroppedArm, RevivedArm
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.money import probability
from pytyche_engine.contracts.tables import Table
from pytyche_engine.experiment.round import Round
from pytyche_engine.experiment.state import State


class ArmBook:
    """The arms and which of them Optimized serves. Get it as ``exp.arms``.

    An arm that is improbable to be the best anywhere in two rounds is dropped from Optimized by
    itself, and comes back when that changes. Explore serves every arm all the time.
    """

    def __init__(
        self, state: Callable[[], State], act: Callable[[Callable[[State], Action]], None]
    ) -> None:
        self._state = state
        self._act = act

    def __iter__(self) -> Iterator[str]:
        return iter(self._state().design.arms)

    def __len__(self) -> int:
        return len(self._state().design.arms)

    @property
    def dropped(self) -> tuple[DroppedArm, ...]:
        """The arms that the recommended plan's Optimized cell leaves out."""
        latest = self._state().latest
        return () if latest is None else latest.dropped

    def drop(self, arm: str, reason: str) -> None:
        """Serve an arm in Explore alone, from the next round's recommended plan on.

        Raises:
            DesignError: if it is control or unknown, was dropped already, fewer than two arms
                would remain, the reason is empty, or no round is finished.
        """

        def decide(state: State) -> Action:
            dropped = _latest(state).dropped
            if arm in {d.arm for d in dropped}:
                raise DesignError(f"Arm '{arm}' is dropped already.")
            finished = len(state.rounds)
            check_dropped(
                state.design.arms, (*dropped, DroppedArm(arm, finished, reason, "operator"))
            )
            return DropArm(finished, arm, reason)

        self._act(decide)

    def revive(self, arm: str, reason: str) -> None:
        """Let Optimized serve a dropped arm again, from the next recommended plan on.

        Raises:
            DesignError: if it is not dropped, or the reason is empty.
        """

        def decide(state: State) -> Action:
            names = [d.arm for d in _latest(state).dropped]
            if arm not in names:
                raise DesignError(f"Arm '{arm}' is not dropped; dropped arms: {names or 'none'}.")
            back = RevivedArm(arm, len(state.rounds), reason, "operator")
            return ReviveArm(back.since_round, arm, back.reason)

        self._act(decide)

    def table(self) -> Table:
        """Each arm, P(best) over everyone, and whether the recommended Optimized serves it."""
        state = self._state()
        best = state.latest.analysis.everyone.arm_best_probabilities if state.latest else {}
        why = {d.arm: d for d in self.dropped}
        back = {
            r.arm: f"served again since round {r.since_round + 1} by the {r.by}: {r.reason}"
            for r in (state.latest.revived if state.latest else ())
        }
        rows = [
            (
                arm,
                probability(best[arm]) if arm in best else "—",
                f"dropped since round {why[arm].since_round + 1} by the {why[arm].by}: "
                f"{why[arm].reason}"
                if arm in why
                else back.get(arm, "served"),
            )
            for arm in self
        ]
        own = state.latest is not None and state.plan != state.latest.next_recommendation
        caption = (
            f"Round {state.plan.round_index + 1} serves a plan of your own, whatever stands here."
            if own
            else ""
        )
        return Table(("arm", "P(best)", "in Optimized"), rows, caption)

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()


def _latest(state: State) -> Round:
    if state.latest is None:
        raise DesignError("No round is finished yet: leave the arm out of the design instead.")
    return state.latest
