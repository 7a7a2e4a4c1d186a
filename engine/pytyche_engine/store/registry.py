"""The registry: every experiment, whatever its type, in one database."""

import secrets
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from pytyche_engine.contracts.errors import (
    DesignError,
    UnknownExperimentError,
    WrongStateError,
)
from pytyche_engine.store import tables as t
from pytyche_engine.store.database import Database
from pytyche_engine.store.records import (
    Experiment,
    ExperimentDraft,
    Page,
    Period,
    Status,
    VariantDraft,
    check_text,
    check_weights,
)
from pytyche_engine.store.rows import (
    NO_SUCH_EXPERIMENT,
    change_weights,
    in_project,
    insert_variants,
    lock_experiment,
    note,
    now,
    read_experiment,
    read_periods,
    read_totals,
    said,
    with_variants,
)

EDITABLE = (
    "name",
    "hypothesis",
    "type",
    "metric",
    "variants",
    "alpha",
    "expected_lift",
    "planned_visitors",
    "floor",
    "update_seconds",
)
"""What can be changed of a draft."""

_DRAFT_COLUMNS = tuple(f.name for f in fields(ExperimentDraft) if f.name != "variants")


class Registry:
    """Keeps experiments. Any number of processes may use one at once.

    Every method that writes is one transaction: it happens whole, with its line in the audit
    log, or not at all. ``who`` is the person in that line.

    Attributes:
        database: where it is kept.
        folder: where rows of observations and rounds of experiments lie, beside it.
    """

    def __init__(self, url: str, folder: str | Path) -> None:
        """Open the registry, and make it where it is not there yet.

        Args:
            url: of the database; see `Database`.
            folder: for files; made when the first is written.

        Raises:
            StoreError: if it cannot be opened.
        """
        self.database = Database(url)
        self.folder = Path(folder)

    # Reading

    def get(self, experiment_id: str, project_id: str | None = None) -> Experiment:
        """An experiment with the counts of its variants.

        Raises:
            UnknownExperimentError: if there is none, or it is another project's.
        """
        with self.database.read() as connection:
            return read_experiment(connection, experiment_id, project_id)

    def project_of(self, experiment_id: str, project_id: str | None = None) -> str:
        """The project of an experiment.

        Raises:
            UnknownExperimentError: if there is none, or it is another project's.
        """
        query = select(t.experiments.c.project_id).where(t.experiments.c.id == experiment_id)
        with self.database.read() as connection:
            found = connection.scalar(in_project(query, project_id))
        if found is None:
            raise UnknownExperimentError(NO_SUCH_EXPERIMENT)
        return str(found)

    def named(self, name: str, project_id: str | None = None) -> Experiment:
        """The newest experiment with a name, or the one with this id.

        Raises:
            UnknownExperimentError: if there is none.
        """
        query = (
            select(t.experiments.c.id)
            .where((t.experiments.c.name == name) | (t.experiments.c.id == name))
            .order_by(t.experiments.c.created_at.desc(), t.experiments.c.id.desc())
            .limit(1)
        )
        with self.database.read() as connection:
            found = connection.scalar(in_project(query, project_id))
            if found is None:
                raise UnknownExperimentError(
                    f"There is no experiment called '{name}' in the registry. "
                    "pt.console() shows those that there are."
                )
            return read_experiment(connection, found)

    def page(
        self,
        project_id: str | None = None,
        *,
        status: Status | None = None,
        search: str = "",
        limit: int = 50,
        offset: int = 0,
    ) -> Page:
        """Some of the experiments, newest first.

        Args:
            project_id: None for every project.
            status: None for any.
            search: part of the name; upper and lower case are the same.
            limit: how many at the most.
            offset: how many newer ones to leave out.
        """
        e = t.experiments
        query = in_project(select(e), project_id)
        if status is not None:
            query = query.where(e.c.status == status)
        if search:
            query = query.where(e.c.name.icontains(search, autoescape=True))
        with self.database.read() as connection:
            totals = read_totals(connection, project_id)
            if search:
                n_found = connection.scalar(select(func.count()).select_from(query.subquery())) or 0
            else:
                n_found = totals.total if status is None else getattr(totals, status)
            query = query.order_by(e.c.created_at.desc(), e.c.id.desc()).limit(limit).offset(offset)
            found = connection.execute(query).mappings().all()
            return Page(with_variants(connection, found), n_found, totals)

    def weight_history(self, experiment_id: str) -> tuple[Period, ...]:
        """The weights since the launch, oldest first."""
        with self.database.read() as connection:
            experiment = read_experiment(connection, experiment_id)
            return read_periods(connection, experiment)

    def audit(self, experiment_id: str) -> list[dict[str, Any]]:
        """Who did what to an experiment, oldest first; also when it was deleted since."""
        a = t.audit
        query = select(a).where(a.c.experiment_id == experiment_id).order_by(a.c.id)
        with self.database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    # Writing

    def create(self, draft: ExperimentDraft, who: str) -> Experiment:
        """Keep a new experiment as a draft.

        Raises:
            DesignError: if it contradicts itself.
        """
        draft.check()
        check_text(who, "The user's name", 200)
        row = {name: getattr(draft, name) for name in _DRAFT_COLUMNS}
        row |= {"id": secrets.token_hex(16), "status": "draft", "split_alarm": False}
        row |= {"created_at": now(), "created_by": who}
        with self.database.write() as connection:
            connection.execute(t.experiments.insert().values(row))
            insert_variants(connection, row["id"], draft.variants)
            note(connection, row["id"], who, "create", {"name": draft.name, "type": draft.type})
            return read_experiment(connection, row["id"])

    def edit(self, experiment_id: str, changes: Mapping[str, Any], who: str) -> Experiment:
        """Change some of `EDITABLE` in a draft; ``variants`` replaces all of them.

        Raises:
            DesignError: if the result contradicts itself.
            WrongStateError: if it was launched.
        """
        if unknown := sorted(set(changes) - set(EDITABLE)):
            raise DesignError(f"'{unknown[0]}' cannot be changed; these can: {list(EDITABLE)}.")
        with self.database.write() as connection:
            experiment = self._draft(connection, experiment_id, "be changed")
            drafts = tuple(VariantDraft(v.name, v.weight, v.note) for v in experiment.variants)
            before = {name: getattr(experiment, name) for name in _DRAFT_COLUMNS}
            after = ExperimentDraft(**{**before, "variants": drafts, **changes})
            after.check()
            if after.type == "adaptive":
                raise DesignError("An adaptive experiment is made in a notebook.")
            values = {name: getattr(after, name) for name in _DRAFT_COLUMNS}
            e = t.experiments
            connection.execute(e.update().where(e.c.id == experiment_id).values(values))
            if "variants" in changes:
                v = t.variants
                connection.execute(v.delete().where(v.c.experiment_id == experiment_id))
                insert_variants(connection, experiment_id, after.variants)
            note(connection, experiment_id, who, "edit", {"changed": sorted(changes)})
            return read_experiment(connection, experiment_id)

    def add_variant(self, experiment_id: str, draft: VariantDraft, who: str) -> Experiment:
        """Add a variant to a draft; the first one is control.

        Raises:
            DesignError: if there is one of this name.
            WrongStateError: if the experiment was launched.
        """
        with self.database.write() as connection:
            experiment = self._draft(connection, experiment_id, "get another variant")
            kept = [VariantDraft(v.name, v.weight, v.note) for v in experiment.variants]
            ExperimentDraft(experiment.name, variants=(*kept, draft)).check()
            insert_variants(connection, experiment_id, (draft,), first=len(kept))
            detail = {"name": draft.name, "weight": draft.weight}
            note(connection, experiment_id, who, "add variant", detail)
            return read_experiment(connection, experiment_id)

    def delete(self, experiment_id: str, who: str) -> None:
        """Delete a draft. Its lines in the audit log stay.

        Raises:
            WrongStateError: if it was launched.
        """
        with self.database.write() as connection:
            experiment = self._draft(connection, experiment_id, "be deleted")
            note(connection, experiment_id, who, "delete", {"name": experiment.name})
            e = t.experiments
            connection.execute(e.delete().where(e.c.id == experiment_id))

    def launch(self, experiment_id: str, who: str) -> Experiment:
        """Begin a draft: from now on it takes observations, and its variants stay.

        Raises:
            DesignError: if its variants or weights are not complete.
            WrongStateError: if it was launched already.
        """
        with self.database.write() as connection:
            experiment = self._draft(connection, experiment_id, "be launched")
            weights = check_weights(experiment.variants)
            if experiment.type == "bandit" and experiment.floor * len(weights) > 1:
                raise DesignError(
                    f"{len(weights)} variants with {100 * experiment.floor:.4g}% each are more "
                    "than 100%; lower the floor."
                )
            e = t.experiments
            values = {"status": "running", "launched_at": now()}
            connection.execute(e.update().where(e.c.id == experiment_id).values(values))
            change_weights(connection, experiment, weights)
            note(connection, experiment_id, who, "launch", {"weights": list(weights)})
            return read_experiment(connection, experiment_id)

    def stop(self, experiment_id: str, who: str) -> Experiment:
        """End a running experiment for good.

        Raises:
            WrongStateError: if it is not running.
        """
        with self.database.write() as connection:
            experiment = lock_experiment(connection, experiment_id)
            _refuse_adaptive(experiment, "be stopped")
            if experiment.status != "running":
                raise WrongStateError(
                    f"'{experiment.name}' cannot be stopped: it is {said(experiment.status)}."
                )
            e = t.experiments
            values = {"status": "stopped", "stopped_at": now()}
            connection.execute(e.update().where(e.c.id == experiment_id).values(values))
            note(connection, experiment_id, who, "stop", {})
            return read_experiment(connection, experiment_id)

    def close(self) -> None:
        """Give up the connections to the database."""
        self.database.close()

    def _draft(self, connection: Connection, experiment_id: str, what: str) -> Experiment:
        experiment = lock_experiment(connection, experiment_id)
        _refuse_adaptive(experiment, what)
        if experiment.status != "draft":
            raise WrongStateError(
                f"'{experiment.name}' cannot {what}: it is {said(experiment.status)}. "
                "Only a draft can."
            )
        return experiment


def _refuse_adaptive(experiment: Experiment, what: str) -> None:
    if experiment.type == "adaptive":
        raise WrongStateError(
            f"'{experiment.name}' cannot {what} here: it is adaptive, and its rounds are run "
            f"in a notebook. Open it there with pt.open({experiment.name!r})."
        )
