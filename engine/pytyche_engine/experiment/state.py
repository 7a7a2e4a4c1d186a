"""What finished rounds and the operator's decisions add up to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pytyche_engine.allocation import Design
from pytyche_engine.contracts.actions import (
    Action,
    ForgetBefore,
    remembered_from,
    segment_names,
)
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.observations import FeatureSchema
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.served import Served
from pytyche_engine.experiment.next_arms import by_operator
from pytyche_engine.experiment.round import Round


@dataclass(frozen=True, eq=False)
class State:
    """All that changes about an experiment; replaced as a whole, so that no thread sees half.

    Attributes:
        design: what was fixed.
        plan: what the next round serves.
        served: what every finished round served, and what came of it.
        rounds: the finished rounds.
        actions: what the operator decided, in order.
    """

    design: Design
    plan: Plan
    served: tuple[Served, ...] = ()
    rounds: tuple[Round, ...] = ()
    actions: tuple[Action, ...] = ()

    @property
    def latest(self) -> Round | None:
        """The last finished round."""
        return self.rounds[-1] if self.rounds else None

    @property
    def schema(self) -> FeatureSchema | None:
        """The experiment's features, once there are any."""
        return self.served[0].observations.schema if self.served else None

    def after(self, served: Served, done: Round) -> "State":
        """The state once a round is finished: its proposal is what the next one serves."""
        finished = len(self.rounds) + 1
        done = by_operator(done, self.actions, finished, self.design)
        return replace(
            self,
            plan=done.next_recommendation,
            served=(*self.served, served),
            rounds=(*self.rounds, done),
        )

    def with_actions(self, actions: tuple[Action, ...]) -> "State":
        """The state with another record of decisions.

        Names show in all rounds at once, and arms in the latest round's proposal. The plan
        follows the proposal, unless the operator has accepted another one.

        Raises:
            DesignError: if a decision about an arm cannot be followed.
        """
        names = segment_names(actions)
        rounds = [replace(r, analysis=r.analysis.named(names)) for r in self.rounds]
        plan = self.plan
        if rounds:
            proposed = rounds[-1].next_recommendation
            rounds[-1] = by_operator(rounds[-1], actions, len(rounds), self.design)
            plan = rounds[-1].next_recommendation if plan == proposed else plan
        return replace(self, plan=plan, actions=actions, rounds=tuple(rounds))

    @property
    def remembered_from(self) -> int:
        """Index of the first round that the next fit uses."""
        return remembered_from(self.actions, len(self.rounds))


def forgetting(state: State, round_number: int) -> Action:
    """The decision to use no visitors of rounds before this one, numbered from 1.

    Raises:
        DesignError: if there is no such finished round, or earlier ones are forgotten already.
    """
    finished, first = len(state.rounds), state.remembered_from
    if isinstance(round_number, bool) or not isinstance(round_number, int | np.integer):
        raise DesignError(f"The round to remember from is {round_number!r}; use its number.")
    if not 1 <= round_number <= finished:
        raise DesignError(
            f"There is no finished round {round_number} to remember from; finished rounds: "
            f"{finished}."
        )
    if round_number - 1 <= first:
        raise DesignError(f"The memory begins with round {first + 1} already; give a later round.")
    return ForgetBefore(finished, int(round_number) - 1)


def remembered(served: Sequence[Served], first_round: int) -> tuple[Served, ...]:
    """The rounds that are not forgotten."""
    return tuple(s for s in served if s.plan.round_index >= first_round)


def round_seed(seed: int, round_index: int) -> int:
    """Seed of everything random in a round."""
    return int(np.random.SeedSequence([seed, round_index]).generate_state(1)[0])
