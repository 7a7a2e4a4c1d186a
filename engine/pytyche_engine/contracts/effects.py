"""What the posterior says about groups of visitors, as draws."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class GroupDraws:
    """Posterior draws of group means under every arm.

    A group is a weighted set of visitors (everyone, a segment, a cell). Everything is an
    expectation over the group's visitors, in money per visitor or as a probability.

    Attributes:
        arms: arm names, control first.
        groups: group names.
        size: (G,) visitors in each group (sum of weights).
        chain: (S,) the chain that each draw came from.
        conversion: (S, G, K) mean P(revenue > 0 | x, arm).
        rpv: (S, G, K) mean expected revenue per visitor.
        conversion_part: (S, G, K) the part of ``rpv[k] - rpv[0]`` that conversion explains.
        severity_part: (S, G, K) the part that severity explains. The two add up to the lift
            in every draw: each visitor's lift is split at the average of the two orders
            (Shapley value of a product of two factors).
    """

    arms: tuple[str, ...]
    groups: tuple[str, ...]
    size: Float[np.ndarray, " groups"]
    chain: Int[np.ndarray, " draws"]
    conversion: Float[np.ndarray, "draws groups arms"]
    rpv: Float[np.ndarray, "draws groups arms"]
    conversion_part: Float[np.ndarray, "draws groups arms"]
    severity_part: Float[np.ndarray, "draws groups arms"]

    def of(self, group: int) -> "GroupDraws":
        """The draws of one group."""
        one = slice(group, group + 1)
        return GroupDraws(
            self.arms,
            self.groups[one],
            self.size[one],
            self.chain,
            self.conversion[:, one],
            self.rpv[:, one],
            self.conversion_part[:, one],
            self.severity_part[:, one],
        )

    @classmethod
    def join(cls, parts: Sequence["GroupDraws"]) -> "GroupDraws":
        """The groups of several, from the same draws and about the same arms."""
        first = parts[0]
        return cls(
            first.arms,
            tuple(group for part in parts for group in part.groups),
            np.concatenate([part.size for part in parts]),
            first.chain,
            *(
                np.concatenate([getattr(part, name) for part in parts], axis=1)
                for name in ("conversion", "rpv", "conversion_part", "severity_part")
            ),
        )

    @property
    def lift(self) -> Float[np.ndarray, "draws groups arms"]:
        """(S, G, K) RPV of each arm less control's; zero for control."""
        return self.rpv - self.rpv[:, :, :1]


@dataclass(frozen=True, eq=False)
class VisitorEffects:
    """Posterior means and spreads for single visitors, streamed over the draws.

    Attributes:
        arms: arm names, control first.
        conversion: (n, K) posterior mean probability of converting.
        severity: (n, K) posterior mean expected revenue given conversion, money.
        rpv: (n, K) posterior mean expected revenue per visitor, money.
        cate: (n, K-1) posterior mean of RPV less control's.
        cate_sd: (n, K-1) its posterior standard deviation.
    """

    arms: tuple[str, ...]
    conversion: Float[np.ndarray, "n arms"]
    severity: Float[np.ndarray, "n arms"]
    rpv: Float[np.ndarray, "n arms"]
    cate: Float[np.ndarray, "n treatments"]
    cate_sd: Float[np.ndarray, "n treatments"]
