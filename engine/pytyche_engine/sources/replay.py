"""Replay of a logged randomised trial, by rejection."""

import warnings
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from pytyche_engine.contracts.arms import check_arms, propensity_columns, read_codes
from pytyche_engine.contracts.columns import as_text, did_you_mean, require
from pytyche_engine.contracts.door import read_round
from pytyche_engine.contracts.errors import DataError, DataNotice, DesignError
from pytyche_engine.contracts.given import number
from pytyche_engine.contracts.observations import ColumnMapping, Observations
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.sources.serving import planned_visitors, recorded_columns

_CHUNK_FLOOR = 256


class ReplaySource:
    """A `Source` over a logged trial (the replay method of Li, Chu, Langford and Wang 2011).

    Visitors are taken from the log in random order, each at most once over all rounds. The
    plan assigns each one; a visitor is observed only if the log holds the arm assigned. An
    observed visitor's probability of arm a is then the plan's, given x, as long as each
    logged arm is as likely as the others to be kept. Where the trial's own probabilities q
    were unequal, a match is kept with probability ``min(q) / q[logged arm]`` (thinning),
    which makes P(kept, arm a | x) = min(q) * plan(a | x): the plan's probabilities are right
    again and who is observed does not depend on x.

    Asking for the same round again, with the same plan, gives the same visitors; rounds are
    asked for in order.

    Attributes:
        arms: arm names, control first.
        columns: what the columns of a round mean.
        logged_propensity: (K,) probabilities with which the trial gave each arm.
        keep: (K,) probability that a match on each arm is kept.
    """

    def __init__(
        self,
        rows: pd.DataFrame,
        log: Observations,
        columns: ColumnMapping,
        logged_propensity: Float[np.ndarray, " arms"],
        seed: int,
    ) -> None:
        self.arms = log.arms
        self.columns = columns
        self.logged_propensity = logged_propensity
        self.keep = logged_propensity.min() / logged_propensity
        self._rows = rows
        self._log = log
        self._seed = seed
        self._order = np.random.default_rng(np.random.SeedSequence(seed)).permutation(len(rows))
        self._starts = {0: 0}
        self._position = 0

    def __len__(self) -> int:
        return len(self._rows)

    def remaining(self) -> int:
        """Logged visitors that no round has taken yet (about one in K of them is observed)."""
        return len(self._order) - self._position

    def continue_after(self, seen_visitors: Collection[str]) -> None:
        """Go on after rounds that were served earlier, in another process.

        Args:
            seen_visitors: ids, as text, of the visitors observed so far.
        """
        seen = pd.Index(self._log.visitor_id[self._order]).isin(list(seen_visitors))
        self._position = int(np.flatnonzero(seen)[-1]) + 1 if seen.any() else 0
        self._starts = {}

    def __call__(self, round_index: int, plan: Plan, /) -> pd.DataFrame:
        """The observed visitors of a round, as many as the plan asks for while the log lasts.

        Raises:
            DesignError: if the plan is for other arms or asks for no visitors.
            DataError: if the log is used up.
        """
        wanted = planned_visitors(plan, self.arms)
        start = self._starts.get(round_index, self._position)
        if start >= len(self._order):
            raise DataError(
                f"The logged trial is used up: all {len(self._order):,} visitors were drawn",
                mend="Plan smaller or fewer rounds: a plan that differs from the log observes "
                f"about one in {len(self.arms)} of the visitors it draws.",
            )
        rng = np.random.default_rng(np.random.SeedSequence((self._seed, round_index)))
        parts: list[pd.DataFrame] = []
        observed, position = 0, start
        while observed < wanted and position < len(self._order):
            size = max(_CHUNK_FLOOR, 2 * len(self.arms) * (wanted - observed))
            taken = self._order[position : position + size]
            assignment = plan.assign(self._log.features.iloc[taken], rng)
            match = assignment.arm == self._log.arm[taken]
            match &= rng.random(len(taken)) < self.keep[assignment.arm]
            kept = np.flatnonzero(match)[: wanted - observed]
            # Who comes after the last one needed stays in the log.
            full = len(kept) == wanted - observed
            position += int(kept[-1]) + 1 if full else len(taken)
            frame = self._rows.iloc[taken[kept]].reset_index(drop=True)
            recorded = recorded_columns(plan, assignment)
            record = pd.DataFrame({name: np.asarray(v)[kept] for name, v in recorded.items()})
            parts.append(pd.concat([frame, record], axis="columns"))
            observed += len(kept)
        self._starts = {r: s for r, s in self._starts.items() if r < round_index}
        self._starts[round_index] = start
        self._position = position
        if not observed:
            raise DataError(
                f"None of the last {position - start:,} logged visitors has the arm that the plan "
                "assigned",
                mend="The logged trial is used up; plan smaller or fewer rounds.",
            )
        return pd.concat(parts, ignore_index=True)


def replay(
    frame: pd.DataFrame,
    *,
    arm: str,
    revenue: str,
    visitor: str | None = None,
    arms: Sequence[str] | None = None,
    control: str | None = None,
    ignore: Sequence[str] = (),
    logged_propensity: Mapping[str, float] | None = None,
    seed: int = 0,
) -> ReplaySource:
    """A source that replays a logged randomised trial.

    The whole log is validated here, as a round would be.

    Args:
        frame: (n rows) one row a visitor of the trial.
        arm: column of the arm that each visitor got.
        revenue: column of money per visitor.
        visitor: column of visitor ids; None numbers the rows.
        arms: the trial's arms, control first. None takes all labels in the log, `control`
            first and the others sorted.
        control: the control arm, when `arms` is not given.
        ignore: columns that are not features (other outcomes first of all). They are dropped.
        logged_propensity: for each arm, the probability with which the trial gave it to
            every visitor. None takes the arms' shares in the log. Unequal ones cost
            visitors: see `ReplaySource`.
        seed: same seed, same rounds.

    Raises:
        DataError: if the log does not pass the door.
        DesignError: if arms or probabilities contradict the log.
    """
    if not isinstance(frame, pd.DataFrame):
        raise DataError(
            f"The logged trial must be a pandas DataFrame; got {type(frame).__name__}",
            mend="Wrap it: pd.DataFrame(...).",
        )
    labels = require(frame, arm, "the arm each visitor got", "Name it in replay(arm=...).")
    names = _arm_names(labels, arms, control)
    read_codes(labels, names, "arm", "Drop visitors of other arms before the replay.")
    absent = [c for c in ignore if c not in frame.columns]
    if absent:
        raise DataError(
            f"Columns to ignore are not in the log: {absent}",
            column=absent[0],
            mend=did_you_mean(absent[0], [str(c) for c in frame.columns]) + "Correct the name.",
        )
    rows = frame.drop(columns=list(ignore)).reset_index(drop=True)
    if visitor is None:
        visitor = "visitor_id"
        _refuse_taken(rows, (visitor,))
        rows.insert(0, visitor, ("row" + pd.Series(np.arange(len(rows))).astype(str)).to_numpy())
    probabilities = propensity_columns(names)
    _refuse_taken(rows, ("cell", *probabilities))
    columns = ColumnMapping(visitor=visitor, arm=arm, revenue=revenue, cell=None)
    with warnings.catch_warnings():
        # Each round says these things again, of the visitors that it really has.
        warnings.simplefilter("ignore", DataNotice)
        log = read_round(rows, columns=columns, arms=names, refunds="clip")
    return ReplaySource(
        rows,
        log,
        ColumnMapping(
            visitor=visitor, arm=arm, revenue=revenue, cell="cell", propensity=probabilities
        ),
        _logged_shares(log, logged_propensity),
        seed,
    )


def _arm_names(
    labels: pd.Series, arms: Sequence[str] | None, control: str | None
) -> tuple[str, ...]:
    if arms is not None:
        names = check_arms(arms)
        if control is not None and names[0] != control:
            raise DesignError(
                f"The control arm is '{control}', but the first of the arms {list(names)} is "
                f"'{names[0]}'; put control first."
            )
        return names
    found = sorted(as_text(labels).values)
    if control is None:
        control = "control"
    if control not in found:
        raise DesignError(
            f"'{control}' is no arm of the log. {did_you_mean(control, found)}Name the control "
            f"arm, replay(control=...); the log has {found[:20]}."
        )
    return check_arms((control, *(name for name in found if name != control)))


def _refuse_taken(rows: pd.DataFrame, names: Sequence[str]) -> None:
    if taken := [name for name in names if name in rows.columns]:
        raise DataError(
            f"The replay writes the columns {list(names)}, but the log has {taken} already",
            column=taken[0],
            mend="Rename these columns, or list them in ignore=.",
        )


def _logged_shares(
    log: Observations, given: Mapping[str, float] | None
) -> Float[np.ndarray, " arms"]:
    if given is None:
        return np.bincount(log.arm, minlength=log.n_arms) / len(log)
    if set(given) != set(log.arms):
        raise DesignError(
            f"The logged probabilities are for {sorted(given)}; the arms are {list(log.arms)}."
        )
    shares = np.array(
        [number(f"The logged probability of '{name}'", given[name]) for name in log.arms]
    )
    if not (shares > 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise DesignError(
            f"The logged probabilities must be above 0 and add up to 1; they are {dict(given)}."
        )
    return shares
