"""Cells and the policies inside them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.rules import Rule

WEIGHT_TOLERANCE = 1e-6
"""How far weights or shares may be from adding up to one."""


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

    @property
    def named_arms(self) -> frozenset[str]:
        """The arms that the policy names."""
        return frozenset()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that the policy routes by."""
        return ()

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

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that the policy routes by."""
        return ()

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
    who matches none of them (an unseen level, say) gets ``otherwise``.
    """

    routes: tuple[Route, ...]
    otherwise: Mapping[str, float]

    def __post_init__(self) -> None:
        _check_shares("visitors who match no route", self.otherwise)

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
        if len(self.routes) == 1:
            return "one segment, everyone, with Thompson allocation"
        return (
            f"policy tree routing over {len(self.routes)} segments "
            "with per-leaf Thompson allocation"
        )


@dataclass(frozen=True)
class MixPolicy(_Routing):
    """Arms with fixed probabilities, for visitors who match a rule; the rest get control.

    The policy of a cell that an operator adds to test a hypothesis.
    """

    shares: Mapping[str, float]
    rule: Rule = field(default_factory=Rule)

    def __post_init__(self) -> None:
        _check_shares(f"the mix for {self.rule}", self.shares)

    @property
    def named_arms(self) -> frozenset[str]:
        """The arms that the policy names."""
        return frozenset(self.shares)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that the policy routes by."""
        return (self.rule,)

    def routing(self, arms: Sequence[str]) -> tuple[Route, ...]:
        """The policy spelled out as routes; the last one is for everyone."""
        elsewhere = Route("everyone else", Rule(), {arms[0]: 1.0})
        return (Route("those asked for", self.rule, self.shares), elsewhere)

    def describe(self) -> str:
        """The policy in a few words, as shown in tables."""
        mix = ", ".join(f"{arm} {share:.0%}" for arm, share in self.shares.items() if share)
        return mix if not self.rule.clauses else f"{mix} where {self.rule}; control elsewhere"


Policy = BaselinePolicy | UniformPolicy | TreePolicy | MixPolicy


def _check_shares(whose: str, shares: Mapping[str, float]) -> None:
    values = np.array(list(shares.values()), dtype=float)
    # Written so that nan fails too.
    if not ((values >= 0).all() and abs(values.sum() - 1) <= WEIGHT_TOLERANCE):
        raise DesignError(
            f"The arm shares of {whose} must be >= 0 and add up to 1; they are {dict(shares)}."
        )


CellRole = Literal["control", "explore", "optimized", "hypothesis"]
_ROLES: Mapping[str, CellRole] = {
    "control": "control",
    "explore": "explore",
    "optimized": "optimized",
}


@dataclass(frozen=True)
class Cell:
    """A named share of a round's traffic and what its visitors get.

    Attributes:
        id: the cell's name, unique in its plan.
        policy: who gets which arm.
        weight: share of the round's visitors, in [0, 1].
    """

    id: str
    policy: Policy
    weight: float

    def __post_init__(self) -> None:
        if not self.id:
            raise DesignError("A cell needs a name.")
        # "What the others leave", computed in floating point, may miss 0 or 1 by a rounding.
        if 0 < -self.weight <= WEIGHT_TOLERANCE or 0 < self.weight - 1 <= WEIGHT_TOLERANCE:
            object.__setattr__(self, "weight", float(round(self.weight)) + 0.0)
        if not 0 <= self.weight <= 1:
            raise DesignError(f"The weight of cell '{self.id}' is {self.weight}; use 0 to 1.")

    @property
    def role(self) -> CellRole:
        """The cell's part in the loop, by its name."""
        return _ROLES.get(self.id, "hypothesis")


def policy_to_dict(policy: Policy) -> dict[str, Any]:
    """A policy as plain JSON values."""
    match policy:
        case BaselinePolicy():
            return {"kind": "baseline"}
        case UniformPolicy(over):
            return {"kind": "uniform", "over": list(over)}
        case MixPolicy(shares, rule):
            return {"kind": "mix", "shares": dict(shares), "rule": rule.to_dict()}
        case TreePolicy(routes, otherwise):
            return {
                "kind": "tree",
                "routes": [
                    {"segment": r.segment, "rule": r.rule.to_dict(), "shares": dict(r.shares)}
                    for r in routes
                ],
                "otherwise": dict(otherwise),
            }


def policy_from_dict(value: Mapping[str, Any]) -> Policy:
    """The inverse of `policy_to_dict`."""
    match value["kind"]:
        case "baseline":
            return BaselinePolicy()
        case "uniform":
            return UniformPolicy(tuple(value["over"]))
        case "mix":
            return MixPolicy(dict(value["shares"]), Rule.from_dict(value["rule"]))
        case "tree":
            routes = tuple(
                Route(r["segment"], Rule.from_dict(r["rule"]), dict(r["shares"]))
                for r in value["routes"]
            )
            return TreePolicy(routes, dict(value["otherwise"]))
        case kind:
            raise DesignError(f"Unknown kind of policy '{kind}'.")
