"""Drift: whether arms still do in each segment what they did in earlier rounds.

Only visitors of the Control and Explore cells count. Their arms do not depend on who they are,
so that within a round and a segment plain means compare alike with alike, whatever the
Optimized cell did meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import ndtr, ndtri

from pytyche_engine.contracts.drift import Channel, DriftCheck, LiftChange
from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.observations import Observations, Outcome
from pytyche_engine.contracts.rules import Rule

RANDOMISED = ("control", "explore")
"""Cells whose visitors get arms that do not depend on who they are."""


def in_randomised_cells(observations: Observations) -> Bool[np.ndarray, " n"]:
    """(n,) who is in one of the `RANDOMISED` cells; False where no cell was recorded."""
    named = [code for code, name in enumerate(observations.cells) if name in RANDOMISED]
    return np.isin(observations.cell, named)


ERROR = 0.03
"""Probability of any false alarm that is aimed at.

Less than the 5 % that may not be exceeded: means of few orders have heavier tails than normal ones.
"""

FEWEST = 5
"""Converters that each arm must be expected to have in earlier and in later rounds."""

PRIOR_CONVERTERS = 5
"""How many converters' worth the variance over all rounds counts in that of a part of them."""


def lift_drift(
    observations: Observations,
    segments: Mapping[str, Rule],
    *,
    found_in: Mapping[str, int] | None = None,
    error: float = ERROR,
) -> DriftCheck:
    """Compare every arm's lift over control, in every segment, with earlier rounds.

    Call it after each round, with all rounds that are remembered. For every split of the
    rounds into earlier and later ones, the change of the lift is estimated in revenue per
    visitor and in conversion, as the difference of two weighted means of the rounds' lifts.
    Revenue is heavy tailed: with log orders of standard deviation 1.2 the two together found
    98 % of simulated reversals, revenue alone 75 %. A level that moves in all arms alike,
    like a season, cancels round by round; but lifts that grow with the level do drift in money.

    False alarms are bounded over any number of rounds and all pairs together by a union
    bound, as a group-sequential plan spends its error (Lan and DeMets 1983): the r-th
    remembered round may spend ``error / (r (r - 1))``, which adds up to ``error`` over
    r = 2, 3, ..., divided evenly among segments, treatments, splits and channels. Intervals
    so widened are a confidence sequence (Darling and Robbins 1967) that is looked at once a
    round. A normal mixture boundary (Robbins 1970; Waudby-Smith et al. 2024, theorem 2.2)
    also holds between rounds, where nobody looks, and pays for it: for 6 pairs in round 3
    an alarm takes 3.6 standard deviations here, and 4.3 there with the same union.

    Variances are those of the earlier and the later rounds apart (Welch 1938), pulled towards
    that of all rounds. On its own the variance of few orders is small whenever there are
    few, which gave 7 % false alarms after one large and many small rounds; with five
    converters' worth of all rounds' variance it was 1 to 3 %.

    Args:
        observations: visitors of all remembered rounds. To forget a round, leave it out;
            the error that may be spent starts again.
        segments: names and rules of the current segments; earlier visitors are put in them
            by rule. They may overlap.
        found_in: index of the round that chose a segment's rule, for rules that data chose.
            Its visitors and earlier ones are left out there: a rule is chosen where lifts are
            far from the mean, and they would seem to drift back to it.
        error: probability of any false alarm, over all rounds.

    Raises:
        DesignError: if there is nothing to check, or `error` is no probability.
    """
    if not segments or not len(observations):
        raise DesignError("Drift needs at least one segment and one visitor to look at.")
    if not 0 < error < 1:
        raise DesignError(f"The error of false alarms is {error}; use 0 to 1.")
    rounds = np.unique(observations.round_index)
    groups = [
        rule.matches(observations.features)
        & (observations.round_index > (found_in or {}).get(name, -1))
        for name, rule in segments.items()
    ]
    pairs = [(segment, arm) for segment in segments for arm in observations.arms[1:]]
    r = len(rounds)
    if r == 1:
        return DriftCheck(int(rounds[0]), error, (), tuple(pairs))
    values: dict[Channel, Float[np.ndarray, " n"]] = {"revenue": observations.revenue}
    if observations.outcome is Outcome.HURDLE:
        values["conversion"] = observations.converted.astype(float)
    expected = _means(observations, groups, rounds, observations.converted.astype(float))
    splits: dict[Channel, list[_Split]] = {}
    for channel, value in values.items():
        means = _means(observations, groups, rounds, value)
        splits[channel] = [_split(means, expected, at) for at in range(1, r)]
    channels = tuple(splits)

    n_tests = len(pairs) * (r - 1) * len(channels)
    share = 1 / (r * (r - 1))
    width = float(-ndtri(error * share / n_tests / 2))
    # (channels, splits, pairs) chance of a change this large; inf where too few converted.
    chance = np.array([[s.chance.ravel() for s in splits[c]] for c in channels])
    changes, unwatched = [], []
    for j, (segment, arm) in enumerate(pairs):
        c, at = np.unravel_index(chance[:, :, j].argmin(), chance.shape[:2])
        if np.isinf(chance[c, at, j]):
            unwatched.append((segment, arm))
            continue
        revenue = splits["revenue"][at]
        p_value = min(1.0, float(chance[c, at, j]) * n_tests / share)
        changes.append(
            LiftChange(
                segment=segment,
                arm=arm,
                round_index=int(rounds[-1]),
                since=int(rounds[at + 1]),
                before=float(revenue.before.flat[j]),
                after=float(revenue.after.flat[j]),
                size=revenue.interval(j, width, 1 - error),
                conversion=splits["conversion"][at].interval(j, width, 1 - error)
                if "conversion" in splits
                else None,
                channel=channels[c],
                p_value=p_value,
                alarm=p_value <= error,
            )
        )
    changes.sort(key=lambda change: change.p_value)
    return DriftCheck(int(rounds[-1]), error, tuple(changes), tuple(unwatched))


@dataclass(frozen=True, eq=False)
class _Means:
    """Visitors, mean and variance (divisor n) of R rounds, G segments and K arms."""

    visitors: Float[np.ndarray, "rounds segments arms"]
    mean: Float[np.ndarray, "rounds segments arms"]
    variance: Float[np.ndarray, "rounds segments arms"]


def _means(
    observations: Observations,
    groups: list[Bool[np.ndarray, " n"]],
    rounds: Int[np.ndarray, " rounds"],
    value: Float[np.ndarray, " n"],
) -> _Means:
    """Means of a value over the visitors of the Control and Explore cells."""
    shape = (len(rounds), observations.n_arms)
    randomised = in_randomised_cells(observations)
    row = np.searchsorted(rounds, observations.round_index) * shape[1] + observations.arm
    parts = []
    for group in groups:
        mine = group & randomised
        of, y = row[mine], value[mine]
        n = np.bincount(of, minlength=shape[0] * shape[1])
        mean = np.bincount(of, y, minlength=len(n)) / np.maximum(n, 1)
        variance = np.bincount(of, (y - mean[of]) ** 2, minlength=len(n)) / np.maximum(n, 1)
        parts.append([x.reshape(shape) for x in (n.astype(float), mean, variance)])
    return _Means(*(np.stack([p[i] for p in parts], axis=1) for i in range(3)))


@dataclass(frozen=True, eq=False)
class _Split:
    """Lifts before and after a round, their difference and what it may be by chance.

    Attributes:
        before, after: weighted means of the rounds' lifts.
        sd: standard deviation of their difference.
        chance: probability of a difference this large; inf where too few converted.
    """

    before: Float[np.ndarray, "segments treatments"]
    after: Float[np.ndarray, "segments treatments"]
    sd: Float[np.ndarray, "segments treatments"]
    chance: Float[np.ndarray, "segments treatments"]

    def interval(self, pair: int, width: float, level: float) -> Estimate:
        """The change of one pair, give or take `width` standard deviations."""
        change = float(self.after.flat[pair] - self.before.flat[pair])
        sd = float(self.sd.flat[pair])
        return Estimate(change, change - width * sd, change + width * sd, sd, level)


def _split(means: _Means, converted: _Means, at: int) -> _Split:
    """Compare rounds from `at` on with those before.

    Rounds weigh by the precision that their numbers of visitors would give at all rounds'
    variance: weights from the rounds' own variances would favour those with few orders.
    """
    n = means.visitors
    parts = (slice(None, at), slice(at, None))
    total = np.maximum(n.sum(axis=0), 1)
    overall = (n * means.variance).sum(axis=0) / total
    rate = (n * converted.mean).sum(axis=0) / total
    lift = means.mean[:, :, 1:] - means.mean[:, :, :1]
    with np.errstate(divide="ignore", invalid="ignore"):
        # An arm without visitors in a round makes the variance there infinite, the weight 0.
        weight = 1 / _of_lift(overall / n)
        level, variance, enough = [], [], []
        for part in parts:
            visitors = n[part].sum(axis=0)
            own = (n[part] * means.variance[part]).sum(axis=0) / np.maximum(visitors, 1)
            orders = visitors * rate
            pulled = (orders * own + PRIOR_CONVERTERS * overall) / (orders + PRIOR_CONVERTERS)
            w = weight[part] / weight[part].sum(axis=0)
            level.append((w * lift[part]).sum(axis=0))
            spread = np.where(w > 0, w**2 * _of_lift(pulled / n[part]), 0.0)
            variance.append(spread.sum(axis=0))
            enough.append(np.minimum(orders[:, 1:], orders[:, :1]) >= FEWEST)
        sd = np.sqrt(variance[0] + variance[1])
        chance = 2 * ndtr(-np.abs(level[1] - level[0]) / sd)
    chance = np.where(enough[0] & enough[1] & np.isfinite(chance), chance, np.inf)
    return _Split(level[0], level[1], sd, chance)


def _of_lift(
    variance: Float[np.ndarray, "*groups arms"],
) -> Float[np.ndarray, "*groups treatments"]:
    """Variance of each arm's mean less control's."""
    return variance[..., 1:] + variance[..., :1]
