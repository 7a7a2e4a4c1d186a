"""Who gets which arm: the policies inside cells, and the routes that they are made of."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from jaxtyping import Float

from pytyche_engine.contracts.dropped import DroppedArm
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.rules import Rule

WEIGHT_TOLERANCE = 1e-6
"""How far weights or shares may be from adding up to one."""

MAX_DEPTH = 3
"""Most questions on a path of a policy tree: deeper ones are not searched exactly."""

AllocationRule = Literal["thompson", "top_two", "exploration_sampling"]
"""How Optimized turns P(best) into shares; the formulas are in `allocation.shares`."""

_ALLOCATION_WORDS: Mapping[AllocationRule, str] = {
    "thompson": "Thompson allocation",
    "top_two": "top-two Thompson allocation",
    "exploration_sampling": "exploration sampling",
}


@dataclass(frozen=True)
class Route:
    """Visitors who match a rule get arms with these probabilities."""

    segment: str
    rule: Rule
    shares: Mapping[str, float]

    def __post_init__(self) -> None:
        _check_shares(f"segment '{self.segment}'", self.shares)

    def arm_shares(self, arms: Sequence[str]) -> Float[np.ndarray, " k"]:
        """(K,) probability of each arm for those who match.

        Raises:
            DesignError: if the route names an arm that is none of ``arms``.
        """
        if unknown := set(self.shares) - set(arms):
            raise DesignError(
                f"A policy names unknown arm(s) {sorted(unknown)}; the arms are {list(arms)}."
            )
        return np.array([self.shares.get(arm, 0.0) for arm in arms])


class _Routing(ABC):
    """A policy: routes of which the first that matches decides."""

    @property
    def named_arms(self) -> frozenset[str]:
        """The arms that the policy names."""
        return frozenset()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that the policy routes by."""
        return ()

    @abstractmethod
    def describe(self) -> str:
        """The policy in a few words, as shown in tables."""

    @abstractmethod
    def routing(self, arms: Sequence[str]) -> tuple[Route, ...]:
        """The policy spelled out as routes; the last one is for everyone."""

    def arm_shares(self, features: pd.DataFrame, arms: Sequence[str]) -> Float[np.ndarray, "n k"]:
        """(n, K) probability of each arm for each visitor."""
        shares = np.zeros((len(features), len(arms)))
        open_rows = np.ones(len(features), dtype=bool)
        for route in self.routing(arms):
            rows = open_rows & route.rule.matches(features)
            shares[rows] = route.arm_shares(arms)
            open_rows &= ~rows
        return shares


@dataclass(frozen=True)
class BaselinePolicy(_Routing):
    """Everyone in the cell gets the control arm."""

    def routing(self, arms: Sequence[str]) -> tuple[Route, ...]:
        """The policy spelled out as routes; the last one is for everyone."""
        return (Route("everyone", Rule(), {arms[0]: 1.0}),)

    def describe(self) -> str:
        """The policy in a few words, as shown in tables."""
        return "baseline: always control"


@dataclass(frozen=True)
class UniformPolicy(_Routing):
    """Each of some arms with the same probability."""

    over: tuple[str, ...]

    def __post_init__(self) -> None:
        if isinstance(self.over, str):
            raise DesignError(
                f"A uniform policy takes a list of arms; '{self.over}' is one text. "
                f"Write ['{self.over}']."
            )
        object.__setattr__(self, "over", tuple(self.over))
        if not self.over or len(set(self.over)) != len(self.over):
            raise DesignError("A uniform policy needs at least one arm, each named once.")

    @property
    def named_arms(self) -> frozenset[str]:
        """The arms that the policy names."""
        return frozenset(self.over)

    def routing(self, arms: Sequence[str]) -> tuple[Route, ...]:  # noqa: ARG002 - one signature
        """The policy spelled out as routes; the last one is for everyone."""
        return (Route("everyone", Rule(), dict.fromkeys(self.over, 1 / len(self.over))),)

    def describe(self) -> str:
        """The policy in a few words, as shown in tables."""
        return f"uniform over {list(self.over)}"


@dataclass(frozen=True)
class TreePolicy(_Routing):
    """Visitors are routed by segment; the first matching route decides.

    ``routes`` cover everyone as long as they are the leaves of one policy tree. A visitor
    who matches none of them (an unseen level, say) gets ``otherwise``. ``allocation`` is the
    rule that the shares come from, and ``dropped`` says which arms have none, and why.
    """

    routes: tuple[Route, ...]
    otherwise: Mapping[str, float]
    allocation: AllocationRule = "thompson"
    dropped: tuple[DroppedArm, ...] = ()

    def __post_init__(self) -> None:
        _check_shares("visitors who match no route", self.otherwise)
        check_allocation(self.allocation)
        for dropped in self.dropped:
            for shares in (self.otherwise, *(route.shares for route in self.routes)):
                if shares.get(dropped.arm):
                    raise DesignError(
                        f"Arm '{dropped.arm}' is dropped, but a policy gives it "
                        f"{shares[dropped.arm]:.1%}. Revive it, or give its share to other arms."
                    )

    def with_shares(self, segment: str, shares: Mapping[str, float]) -> "TreePolicy":
        """The policy with other arm shares for the visitors of one segment.

        Raises:
            DesignError: if no route is for that segment, or the shares are no mix.
        """
        if segment not in (names := [route.segment for route in self.routes]):
            raise DesignError(f"The policy has no segment '{segment}'; its segments are {names}.")
        return replace(
            self,
            routes=tuple(
                replace(route, shares=dict(shares)) if route.segment == segment else route
                for route in self.routes
            ),
        )

    @property
    def named_arms(self) -> frozenset[str]:
        """The arms that the policy names."""
        return frozenset(self.otherwise).union(*(route.shares for route in self.routes))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that the policy routes by."""
        return tuple(route.rule for route in self.routes)

    def routing(self, arms: Sequence[str]) -> tuple[Route, ...]:  # noqa: ARG002 - one signature
        """The policy spelled out as routes; the last one is for everyone."""
        return (*self.routes, Route("everyone else", Rule(), self.otherwise))

    def describe(self) -> str:
        """The policy in a few words, as shown in tables."""
        rule = _ALLOCATION_WORDS[self.allocation]
        dropped = ", ".join(f"'{d.arm}'" for d in self.dropped)
        without = f"; dropped: {dropped}" if dropped else ""
        if len(self.routes) == 1:
            return f"one segment, everyone, with {rule}{without}"
        return f"policy tree routing over {len(self.routes)} segments with per-leaf {rule}{without}"


@dataclass(frozen=True)
class MixPolicy(_Routing):
    """Arms with fixed probabilities for visitors who match a rule, and for the rest of the cell.

    The policy of a cell that an operator adds to test a hypothesis; see `hypothesis_cell`.
    Without ``otherwise`` the rest get control.
    """

    shares: Mapping[str, float]
    rule: Rule = field(default_factory=Rule)
    otherwise: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        _check_shares(f"the mix for {self.rule}", self.shares)
        if self.otherwise is not None:
            _check_shares(f"the mix elsewhere than {self.rule}", self.otherwise)

    @property
    def named_arms(self) -> frozenset[str]:
        """The arms that the policy names."""
        return frozenset(self.shares).union(self.otherwise or ())

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that the policy routes by."""
        return (self.rule,)

    def routing(self, arms: Sequence[str]) -> tuple[Route, ...]:
        """The policy spelled out as routes; the last one is for everyone."""
        others = {arms[0]: 1.0} if self.otherwise is None else self.otherwise
        elsewhere = Route("everyone else", Rule(), others)
        return (Route("those asked for", self.rule, self.shares), elsewhere)

    def describe(self) -> str:
        """The policy in a few words, as shown in tables."""
        mix = _mix_words(self.shares)
        if not self.rule.clauses:
            return mix
        others = "control" if self.otherwise is None else _mix_words(self.otherwise)
        return f"{mix} where {self.rule}; {others} elsewhere"


Policy = BaselinePolicy | UniformPolicy | TreePolicy | MixPolicy


def _mix_words(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{arm} {share:.0%}" for arm, share in shares.items() if share)


def _check_shares(whose: str, shares: Mapping[str, float]) -> None:
    try:
        values = np.array(list(shares.values()), dtype=float)
    except (TypeError, ValueError):
        values = np.array([np.nan])
    # Written so that nan fails too.
    if not ((values >= 0).all() and abs(values.sum() - 1) <= WEIGHT_TOLERANCE):
        raise DesignError(
            f"The arm shares of {whose} must be >= 0 and add up to 1; they are {dict(shares)}."
        )


def check_allocation(name: object) -> None:
    """Whether this is the name of an allocation rule.

    Raises:
        DesignError: if not; the message has the names.
    """
    if name not in get_args(AllocationRule):
        raise DesignError(
            f"Unknown allocation rule {name!r}; use one of {list(get_args(AllocationRule))}."
        )


def policy_to_dict(policy: Policy) -> dict[str, Any]:
    """A policy as plain JSON values."""
    match policy:
        case BaselinePolicy():
            return {"kind": "baseline"}
        case UniformPolicy(over):
            return {"kind": "uniform", "over": list(over)}
        case MixPolicy(shares, rule, elsewhere):
            return {
                "kind": "mix",
                "shares": dict(shares),
                "rule": rule.to_dict(),
                "otherwise": None if elsewhere is None else dict(elsewhere),
            }
        case TreePolicy(routes, otherwise, allocation, dropped):
            return {
                "kind": "tree",
                "routes": [
                    {"segment": r.segment, "rule": r.rule.to_dict(), "shares": dict(r.shares)}
                    for r in routes
                ],
                "otherwise": dict(otherwise),
                "allocation": allocation,
                "dropped": [asdict(d) for d in dropped],
            }


def policy_from_dict(value: Mapping[str, Any]) -> Policy:
    """The inverse of `policy_to_dict`."""
    match value["kind"]:
        case "baseline":
            return BaselinePolicy()
        case "uniform":
            return UniformPolicy(tuple(value["over"]))
        case "mix":
            elsewhere = value.get("otherwise")
            return MixPolicy(
                dict(value["shares"]),
                Rule.from_dict(value["rule"]),
                None if elsewhere is None else dict(elsewhere),
            )
        case "tree":
            routes = tuple(
                Route(r["segment"], Rule.from_dict(r["rule"]), dict(r["shares"]))
                for r in value["routes"]
            )
            return TreePolicy(
                routes,
                dict(value["otherwise"]),
                value.get("allocation", "thompson"),
                tuple(DroppedArm(**d) for d in value.get("dropped", ())),
            )
        case kind:
            raise DesignError(f"Unknown kind of policy '{kind}'.")
