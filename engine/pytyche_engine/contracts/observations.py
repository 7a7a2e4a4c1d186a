"""What was seen in a round, after it passed the door (`contracts.door`)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from pytyche_engine.contracts.errors import DataError, DesignError
from pytyche_engine.contracts.tables import Table


class Outcome(StrEnum):
    """Which channels of the model are on."""

    HURDLE = "hurdle"  # most spend nothing, a few spend a lot
    BINARY = "binary"  # 0 or 1
    CONTINUOUS = "continuous"  # a positive amount for everyone


class FeatureKind(StrEnum):
    """How a feature is used."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"


@dataclass(frozen=True)
class Feature:
    """A feature that the model sees.

    Attributes:
        name: its column in `Observations.features`.
        kind: how it is used.
        source: the input column it came from (a date gives several features).
        levels: for a categorical feature, the levels of the first round, as text.
        had_missing: whether values were missing in the first round.
    """

    name: str
    kind: FeatureKind
    source: str
    levels: tuple[str, ...] = ()
    had_missing: bool = False


@dataclass(frozen=True)
class LeftOut:
    """An input column that the model does not see, and why."""

    column: str
    reason: str


@dataclass(frozen=True)
class FeatureSchema:
    """The features of an experiment, fixed by its first round."""

    features: tuple[Feature, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in order."""
        return tuple(f.name for f in self.features)

    def table(self) -> Table:
        """Every input column: what it is used as, or why it is left out."""
        rows = [
            (
                f.name,
                f.kind.value,
                f"{len(f.levels)} levels" if f.levels else "",
                "yes" if f.had_missing else "",
            )
            for f in self.features
        ]
        rows += [(c.column, "left out", c.reason, "") for c in self.left_out]
        return Table(("column", "used as", "note", "has missing"), rows)

    def _repr_html_(self) -> str:
        return self.table().html()


@dataclass(frozen=True)
class ColumnMapping:
    """Which columns of a tidy frame mean what. Every other column is a feature.

    Attributes:
        visitor: visitor ids, unique within and across rounds; None takes the row position.
        arm: the arm each visitor saw.
        revenue: money per visitor, 0 for most.
        cell: the plan's cell that the visitor was in, if recorded.
        propensity: for each arm its column of recorded assignment probabilities, if any;
            None takes the columns ``propensity_<arm>`` when every arm has one.
        timestamp: when the visitor was seen, if recorded.
        ignore: columns that are neither of these nor features.
    """

    visitor: str | None = "visitor_id"
    arm: str = "arm"
    revenue: str = "revenue"
    cell: str | None = "cell"
    propensity: tuple[str, ...] | None = None
    timestamp: str | None = None
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for meaning, needed in (("arm", True), ("revenue", True), ("visitor", False),
                                ("cell", False), ("timestamp", False)):  # fmt: skip
            name = getattr(self, meaning)
            if not (isinstance(name, str) or (name is None and not needed)):
                raise DesignError(
                    f"'{meaning}' of the column mapping is {name!r}; use the name of a column."
                )
        for meaning in ("propensity", "ignore"):
            names = getattr(self, meaning)
            if names is None and meaning == "propensity":
                continue
            if isinstance(names, str) or not (
                isinstance(names, Sequence) and all(isinstance(name, str) for name in names)
            ):
                raise DesignError(
                    f"'{meaning}' of the column mapping is {names!r}; use a list of column names."
                )
            object.__setattr__(self, meaning, tuple(names))


@dataclass(frozen=True, eq=False)
class Observations:
    """Validated visitors of one round, or of several put together by `concat`.

    Attributes:
        arms: arm names, control first.
        visitor_id: (n,) ids as text.
        arm: (n,) arm codes, 0 is control.
        revenue: (n,) money, >= 0, in the currency of the data.
        features: (n rows) one column a feature of `schema`: float64 for numeric,
            ``category`` for categorical, nullable ``boolean`` for boolean. NA is missing.
        schema: what the columns of `features` are.
        outcome: the kind of outcome.
        propensity: (n, K) recorded probabilities of each arm given the visitor.
        propensity_recorded: False where they were not recorded and the arm shares stand in.
        round_index: (n,) the round of each visitor, from 0.
        cell: (n,) codes into `cells`, -1 where no cell was recorded.
        cells: names of the cells.
        timestamp: (n,) times, or None.
        notices: what the door did that the user should know, one sentence each.
    """

    arms: tuple[str, ...]
    visitor_id: np.ndarray
    arm: Int[np.ndarray, " n"]
    revenue: Float[np.ndarray, " n"]
    features: pd.DataFrame
    schema: FeatureSchema
    outcome: Outcome
    propensity: Float[np.ndarray, "n arms"]
    propensity_recorded: bool
    round_index: Int[np.ndarray, " n"]
    cell: Int[np.ndarray, " n"]
    cells: tuple[str, ...]
    timestamp: pd.Series | None = None
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.revenue)

    @property
    def n_arms(self) -> int:
        """K, control included."""
        return len(self.arms)

    @property
    def converted(self) -> Bool[np.ndarray, " n"]:
        """Who spent anything."""
        return self.revenue > 0

    def take(self, rows: Int[np.ndarray, " m"] | Bool[np.ndarray, " n"]) -> "Observations":
        """The same visitors, chosen rows only, in the order given."""
        return replace(
            self,
            visitor_id=self.visitor_id[rows],
            arm=self.arm[rows],
            revenue=self.revenue[rows],
            features=self.features.iloc[
                np.flatnonzero(rows) if rows.dtype == bool else rows
            ].reset_index(drop=True),
            propensity=self.propensity[rows],
            round_index=self.round_index[rows],
            cell=self.cell[rows],
            timestamp=None if self.timestamp is None else self.timestamp[rows],
        )

    def __repr__(self) -> str:
        rounds = len(np.unique(self.round_index))
        return (
            f"Observations({len(self):,} visitors, {rounds} round(s), arms {list(self.arms)}, "
            f"{int(self.converted.sum()):,} converted, {len(self.schema.features)} features)"
        )


def concat(rounds: Sequence[Observations]) -> Observations:
    """All rounds so far as one `Observations`, in round order.

    Raises:
        DataError: if the rounds differ in arms, features or outcome kind.
    """
    first = rounds[0]
    for other in rounds[1:]:
        if other.arms != first.arms or other.schema.names != first.schema.names:
            raise DataError(
                "Rounds of one experiment differ in their arms or features",
                mend="Read every round through the same experiment.",
            )
    cells = tuple(dict.fromkeys(name for r in rounds for name in r.cells))
    position = {name: i for i, name in enumerate(cells)}
    recode = [np.array([*(position[c] for c in r.cells), -1], dtype=np.int64) for r in rounds]
    features = {}
    for feature in first.schema.features:
        columns = [r.features[feature.name] for r in rounds]
        if feature.kind is FeatureKind.CATEGORICAL:
            levels = list(dict.fromkeys(x for c in columns for x in c.cat.categories))
            columns = [c.cat.set_categories(levels) for c in columns]
        features[feature.name] = pd.concat(columns, ignore_index=True)
    times = [r.timestamp for r in rounds]
    known_times = [t for t in times if t is not None]
    return replace(
        first,
        visitor_id=np.concatenate([r.visitor_id for r in rounds]),
        arm=np.concatenate([r.arm for r in rounds]),
        revenue=np.concatenate([r.revenue for r in rounds]),
        features=pd.DataFrame(features, index=range(sum(map(len, rounds)))),
        outcome=Outcome.HURDLE
        if any(r.outcome is Outcome.HURDLE for r in rounds)
        else first.outcome,
        propensity=np.concatenate([r.propensity for r in rounds]),
        propensity_recorded=all(r.propensity_recorded for r in rounds),
        round_index=np.concatenate([r.round_index for r in rounds]),
        cell=np.concatenate([codes[r.cell] for codes, r in zip(recode, rounds, strict=True)]),
        cells=cells,
        timestamp=pd.concat(known_times, ignore_index=True)
        if len(known_times) == len(times)
        else None,
        notices=tuple(dict.fromkeys(n for r in rounds for n in r.notices)),
    )
