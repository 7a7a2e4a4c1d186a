"""Whether segments hold enough converters for estimates of their own."""

from collections.abc import Mapping

import numpy as np
from scipy.special import ndtri

from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.health import ConverterCheck, ConverterCount
from pytyche_engine.contracts.observations import Observations, Outcome
from pytyche_engine.contracts.rules import Rule

PRIOR_SD = 0.15
"""Scale of the prior of an arm's effect, latent units: `bcf.Settings.arm_scale`."""


def converters_by_segment(
    observations: Observations, segments: Mapping[str, Rule], *, prior_sd: float = PRIOR_SD
) -> ConverterCheck:
    """Count visitors and converters of every arm in every segment.

    Below the limit the prior outweighs what the arm's own visitors in the segment say, so the
    segment's estimate rests on it and on what other segments have in common with this one. In
    the normal model of a mean with ``c`` observations of variance ``v`` and prior variance
    ``s^2``, data weigh ``c / (c + v / s^2)``: as much as the prior at ``c = v / s^2``. For
    severity ``v`` is 1, as the unit is the standard deviation of log revenue, and an observation
    is a converter: 44 with the default prior. That is also enough for conversion unless more
    than 60 % convert. For binary outcomes, ``v`` is the variance of a visitor on the
    probit scale, ``p (1 - p) / phi(probit p)^2`` with ``p`` the rate of all visitors, and the
    limit ``p v / s^2`` converters: 6 at a rate of 1 %, 10 at 5 %, 35 at 50 %.

    The limit says when a segment begins to speak for itself, not that a lift can be told apart
    there, which takes more.

    Args:
        observations: all visitors that the model was fitted on.
        segments: names and rules of the segments; they may overlap.
        prior_sd: prior standard deviation of an arm's effect in latent units.

    Raises:
        DesignError: if `prior_sd` is not positive, or there are no visitors.
    """
    if not prior_sd > 0:
        raise DesignError(f"The prior standard deviation is {prior_sd}; it must be positive.")
    if not len(observations):
        raise DesignError("Converters cannot be counted without visitors.")
    fewest = 1 / prior_sd**2
    converted = observations.converted
    if observations.outcome is Outcome.BINARY:
        # Half a visitor on each side keeps rates of 0 and 1 finite.
        p = (converted.sum() + 0.5) / (len(observations) + 1)
        density = np.exp(-0.5 * ndtri(p) ** 2) / np.sqrt(2 * np.pi)
        fewest *= float(p**2 * (1 - p) / density**2)
    K = observations.n_arms
    rows = []
    for segment, rule in segments.items():
        mine = rule.matches(observations.features)
        visitors = np.bincount(observations.arm[mine], minlength=K)
        converters = np.bincount(observations.arm[mine & converted], minlength=K)
        rows += [
            ConverterCount(segment, arm, int(n), int(c), bool(c < fewest))
            for arm, n, c in zip(observations.arms, visitors, converters, strict=True)
        ]
    return ConverterCheck(fewest, tuple(rows))
