"""The fitted model: keeps its forests and answers questions about any visitors."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pytyche_engine.bcf.diagnostics import by_chain, ess, r_hat
from pytyche_engine.bcf.draws import Draws, Surfaces, evaluate
from pytyche_engine.bcf.encoding import Column, Encoding
from pytyche_engine.bcf.layout import bucket, pad_columns
from pytyche_engine.bcf.propensities import (
    PropensityTree,
    with_propensities,
    without_propensities,
)
from pytyche_engine.bcf.settings import Settings
from pytyche_engine.bcf.state import CHANNELS, LatentScale
from pytyche_engine.contracts.convergence import Convergence, Sampling
from pytyche_engine.contracts.effects import GroupDraws, VisitorEffects
from pytyche_engine.contracts.errors import DataError, StoreError
from pytyche_engine.contracts.observations import Observations, Outcome
from pytyche_engine.contracts.reading import read_arrays, read_json
from pytyche_engine.jobs.control import Control

SCHEMA = 3
"""Version of the files that `Posterior.save` writes."""

ROWS_PER_BATCH = 4096
DRAWS_PER_BATCH = 25
MOST_ROWS_PER_GROUP_QUESTION = 20_000
VISITOR_DRAWS = 100
"""Draws that per-visitor means and spreads are streamed over."""


Propensity = Float[np.ndarray, "n arms"] | None


@dataclass(frozen=True, eq=False, repr=False)
class Posterior:
    """Draws of the joint hurdle BCF, with what is needed to evaluate them anywhere.

    Attributes:
        arms: arm names, control first.
        outcome: which channels are on.
        encoding: how features become bins.
        scale: how latent units become probabilities and money.
        draws: the kept draws of all chains.
        settings: how it was sampled.
        seed: with which seed.
        n_visitors: how many visitors it was fitted on.
        propensity_tree: what probabilities of each arm go with a visitor's features, for
            visitors predicted without their own; None where mu does not see any.
        sampling: how long the sampler ran and why it ended.
    """

    arms: tuple[str, ...]
    outcome: Outcome
    encoding: Encoding
    scale: LatentScale
    draws: Draws
    settings: Settings
    seed: int
    n_visitors: int
    propensity_tree: PropensityTree | None
    sampling: Sampling

    def __repr__(self) -> str:
        return (
            f"Posterior({len(self.draws)} draws of {self.sampling.chains} chain(s), "
            f"{self.outcome} outcome, arms {list(self.arms)}, {self.n_visitors:,} visitors)"
        )

    def can_start(self, observations: Observations, settings: Settings) -> bool:
        """Whether chains of a new fit can start from this one's forests."""
        sizes = ("num_trees_mu", "num_trees_tau", "max_depth")
        return (
            self.arms == observations.arms
            and self.outcome == observations.outcome
            and all(getattr(self.settings, s) == getattr(settings, s) for s in sizes)
        )

    def predict(
        self,
        features: pd.DataFrame,
        *,
        propensity: Propensity = None,
        control: Control | None = None,
    ) -> VisitorEffects:
        """Posterior means and spreads for visitors, seen or not.

        Money is in the currency of the data that were fitted. Streamed over at most
        VISITOR_DRAWS evenly spaced draws, so memory does not grow with the draws.

        Args:
            features: (n rows) visitors.
            propensity: (n, K) their recorded probabilities of each arm. Without them, and
                where the fit had any, each visitor gets the mean of fitted visitors with like
                features: what one policy assigned by, and of several rounds the mean.
            control: can pause or cancel it between batches.

        Raises:
            FitCancelled: if the control was cancelled.
            DataError: if a feature is missing from the frame.
        """
        which = np.unique(np.linspace(0, len(self.draws) - 1, VISITOR_DRAWS).round().astype(int))
        n, K = len(features), len(self.arms)
        conversion, severity, rpv = (np.zeros((n, K)) for _ in range(3))
        cate_square = np.zeros((n, K - 1))
        batches = self.surface_batches(
            features, propensity, self.draws.take(which), control or Control()
        )
        for rows, surfaces, _ in batches:
            p = surfaces.conversion.astype(float)
            m = surfaces.severity.astype(float)
            value = p * m
            cate = value[:, 1:] - value[:, :1]
            conversion[rows] += p.sum(axis=0).T
            severity[rows] += m.sum(axis=0).T
            rpv[rows] += value.sum(axis=0).T
            cate_square[rows] += (cate**2).sum(axis=0).T
        count = len(which)
        conversion, severity, rpv = conversion / count, severity / count, rpv / count
        cate_mean = rpv[:, 1:] - rpv[:, :1]
        return VisitorEffects(
            arms=self.arms,
            conversion=conversion,
            severity=severity,
            rpv=rpv,
            cate=cate_mean,
            cate_sd=np.sqrt(np.maximum(cate_square / count - cate_mean**2, 0)),
        )

    def group_draws(
        self,
        features: pd.DataFrame,
        membership: Float[np.ndarray, "n groups"],
        groups: tuple[str, ...],
        *,
        propensity: Propensity = None,
        control: Control | None = None,
    ) -> GroupDraws:
        """Draws of group means under every arm.

        Args:
            features: (n rows) visitors.
            membership: (n, G) how much each visitor counts in each group (0 or 1, usually).
            groups: G names.
            propensity: as in `predict`, also without them.
            control: can pause or cancel it between batches.

        Means are over all members as long as there are at most
        MOST_ROWS_PER_GROUP_QUESTION visitors, else over an evenly spaced sample of them.

        Raises:
            DataError: if a group has no members.
        """
        size = membership.sum(axis=0, dtype=float)
        if (size <= 0).any():
            empty = [g for g, s in zip(groups, size, strict=True) if s <= 0]
            raise DataError(f"No visitor belongs to the group(s) {empty}")
        rows, weights = _sample_members(membership)
        S, G, K = len(self.draws), len(groups), len(self.arms)
        shape = (S, G, K)
        conversion, rpv, by_conversion, by_severity = (np.zeros(shape) for _ in range(4))
        batches = self.surface_batches(
            features.iloc[rows],
            None if propensity is None else propensity[rows],
            self.draws,
            control or Control(),
        )
        for batch, surfaces, which in batches:
            w = weights[batch]
            p = surfaces.conversion.astype(float)
            m = surfaces.severity.astype(float)
            conversion[which] += np.einsum("skn,ng->sgk", p, w, optimize=True)
            rpv[which] += np.einsum("skn,ng->sgk", p * m, w, optimize=True)
            part = (p - p[:, :1]) * 0.5 * (m + m[:, :1])
            by_conversion[which] += np.einsum("skn,ng->sgk", part, w, optimize=True)
            part = (m - m[:, :1]) * 0.5 * (p + p[:, :1])
            by_severity[which] += np.einsum("skn,ng->sgk", part, w, optimize=True)
        return GroupDraws(
            arms=self.arms,
            groups=groups,
            size=size,
            chain=self.draws.chain,
            conversion=conversion,
            rpv=rpv,
            conversion_part=by_conversion,
            severity_part=by_severity,
        )

    def effects(
        self,
        features: pd.DataFrame,
        *,
        propensity: Propensity = None,
        control: Control | None = None,
    ) -> GroupDraws:
        """Draws of the mean over all these visitors, as one group named ``everyone``.

        Propensities are taken, or expected of the features, as in `predict`.
        """
        return self.group_draws(
            features,
            np.ones((len(features), 1)),
            ("everyone",),
            propensity=propensity,
            control=control,
        )

    def convergence(self, effects: GroupDraws) -> Convergence:
        """R-hat and ESS of each treatment's lift in each group."""
        lift = effects.lift
        r, e = {}, {}
        for g, group in enumerate(effects.groups):
            for k, arm in enumerate(self.arms[1:], start=1):
                chains = by_chain(lift[:, g, k], effects.chain)
                name = arm if len(effects.groups) == 1 else f"{arm} @ {group}"
                r[name], e[name] = r_hat(chains), ess(chains)
        return Convergence(r, e)

    def save(self, folder: Path) -> None:
        """Write ``posterior.npz`` (draws) and ``posterior.json`` (the rest) to a folder."""
        arrays = {f.name: getattr(self.draws, f.name) for f in fields(Draws)}
        tree = self.propensity_tree
        np.savez_compressed(folder / "posterior.npz", **arrays)
        meta = {
            "schema": SCHEMA,
            "arms": self.arms,
            "outcome": self.outcome,
            "columns": [asdict(c) for c in self.encoding.columns],
            "scale": asdict(self.scale),
            "settings": asdict(self.settings),
            "seed": self.seed,
            "n_visitors": self.n_visitors,
            "propensity_tree": None if tree is None else asdict(tree),
            "sampling": asdict(self.sampling),
        }
        (folder / "posterior.json").write_text(json.dumps(meta))

    @classmethod
    def load(cls, folder: Path) -> "Posterior":
        """Read what `save` wrote.

        Raises:
            StoreError: if a file is missing, damaged or of another version.
        """
        try:
            meta = read_json(folder / "posterior.json")
            if meta.get("schema") != SCHEMA:
                raise StoreError(
                    f"The posterior in '{folder.name}' has schema {meta.get('schema')}; this "
                    f"version reads {SCHEMA}. Open it with the version that wrote it."
                )
            arrays = read_arrays(folder / "posterior.npz")
            draws = Draws(**{f.name: arrays[f.name] for f in fields(Draws)})
            columns = tuple(Column(**{**c, "cuts": tuple(c["cuts"])}) for c in meta["columns"])
            tree = meta["propensity_tree"]
            settings: dict[str, Any] = {
                k: tuple(v) if isinstance(v, list) else v for k, v in meta["settings"].items()
            }
            return cls(
                arms=tuple(meta["arms"]),
                outcome=Outcome(meta["outcome"]),
                encoding=Encoding(columns),
                scale=LatentScale(**meta["scale"]),
                draws=draws,
                settings=Settings(**settings),
                seed=meta["seed"],
                n_visitors=meta["n_visitors"],
                propensity_tree=None if tree is None else PropensityTree.from_dict(tree),
                sampling=Sampling(**meta["sampling"]),
            )
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            OverflowError,
        ) as error:
            raise StoreError(
                f"The posterior in '{folder.name}' cannot be read: {error}. Restore the folder "
                "from a copy, or fit the round again."
            ) from error

    def surface_batches(
        self, features: pd.DataFrame, propensity: Propensity, draws: Draws, control: Control
    ) -> Iterator[tuple[slice, Surfaces, slice]]:
        """Surfaces in batches of rows and draws, padded so that few shapes are compiled.

        Batches are computed a few at a time, one a core, and given in order.
        """
        if self.propensity_tree is not None:
            if propensity is None:
                own = without_propensities(self.encoding).encode(features)
                propensity = self.propensity_tree.predict(own)
            features = with_propensities(features, self.arms, propensity)
        X = pad_columns(self.encoding.encode(features))
        n, S = X.shape[1], len(draws)
        width = min(ROWS_PER_BATCH, bucket(n))
        channels = CHANNELS[self.outcome]
        batches = [
            (slice(start, min(start + width, n)), slice(first, min(first + DRAWS_PER_BATCH, S)))
            for start in range(0, n, width)
            for first in range(0, S, DRAWS_PER_BATCH)
        ]

        def surfaces(batch: tuple[slice, slice]) -> tuple[slice, Surfaces, slice]:
            rows, some = batch
            count = rows.stop - rows.start
            padded = np.pad(X[:, rows], ((0, 0), (0, width - count)))
            # The last batch repeats its final draw to keep the shape.
            which = np.minimum(np.arange(some.start, some.start + DRAWS_PER_BATCH), S - 1)
            full = evaluate(draws.take(which), padded, self.scale, channels)
            kept = some.stop - some.start
            return (
                rows,
                Surfaces(full.conversion[:kept, :, :count], full.severity[:kept, :, :count]),
                some,
            )

        cores = os.cpu_count() or 1
        with ThreadPoolExecutor(max_workers=cores) as pool:
            for first in range(0, len(batches), cores):
                control.halt_if_asked()
                yield from pool.map(surfaces, batches[first : first + cores])


def _sample_members(
    membership: Float[np.ndarray, "n groups"],
) -> tuple[Int[np.ndarray, " m"], Float[np.ndarray, "m groups"]]:
    """Rows to evaluate and their weight in each group's mean (columns add up to 1).

    All rows, or for each group an evenly spaced sample of its members; a row that was
    chosen for one group does not count in another one's mean.
    """
    n, groups = membership.shape
    if n <= MOST_ROWS_PER_GROUP_QUESTION:
        weights = membership.astype(float)
    else:
        per_group = max(MOST_ROWS_PER_GROUP_QUESTION // groups, 500)
        weights = np.zeros((n, groups))
        for g, column in enumerate(membership.T):
            members = np.flatnonzero(column)
            spread = np.linspace(0, len(members) - 1, min(per_group, len(members)))
            chosen = members[spread.round().astype(int)]
            weights[chosen, g] = column[chosen]
    rows = np.flatnonzero(weights.any(axis=1))
    return rows, weights[rows] / weights.sum(axis=0)
