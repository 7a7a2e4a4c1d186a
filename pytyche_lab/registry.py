"""Where this user's registry is, and experiments in it."""

import getpass
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_core.paths import jupyter_data_dir

from pytyche_engine.contracts.errors import PytycheWarning
from pytyche_engine.contracts.warn import warn

if TYPE_CHECKING:
    from pytyche_engine.experiment import SequentialExperiment
    from pytyche_engine.store.registry import Registry
    from pytyche_lab.widgets import Console

URL_VARIABLE = "PYTYCHE_REGISTRY"
"""Names the registry's database, for kernels and servers alike, e.g. a PostgreSQL."""


def data_folder() -> Path:
    """Where files go: beside everything else that Jupyter keeps for this user."""
    return Path(jupyter_data_dir()) / "pytyche_lab"


def registry_url() -> str:
    """The database: what `PYTYCHE_REGISTRY` names, else a SQLite file in the data folder."""
    return os.environ.get(URL_VARIABLE) or f"sqlite:///{data_folder() / 'registry.sqlite3'}"


def open_registry() -> "Registry":
    """The registry that kernels and servers of this user share.

    Raises:
        StoreError: if it cannot be opened.
    """
    return _opened(registry_url(), data_folder())


@cache
def _opened(url: str, folder: Path) -> "Registry":
    from pytyche_engine.store.registry import Registry

    return Registry(url, folder)


def console(project_id: str | None = None) -> "Console":
    """The console of all experiments of this user; of one project if it is named.

    Args:
        project_id: whose experiments to show; None for every project.

    Raises:
        StoreError: if the registry cannot be opened.
    """
    from pytyche_lab.widgets import Console

    return Console(project_id)


def user_name() -> str:
    """Who runs this process, for the audit log."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user, as in some containers
        return "unknown"


def register(experiment: "SequentialExperiment", hypothesis: str, project_id: str) -> None:
    """Keep a new experiment in the registry, and its rounds on disk where they are not yet.

    An experiment runs without its registry: what fails here is a warning.
    """
    from pytyche_engine.store.records import ExperimentDraft, VariantDraft

    try:
        registry = open_registry()
        arms = experiment.design.arms
        registered = registry.create(
            ExperimentDraft(
                name=experiment.name,
                hypothesis=hypothesis,
                project_id=project_id,
                type="adaptive",
                metric="conversion" if experiment.labels.metric == "conversion_rate" else "revenue",
                variants=tuple(VariantDraft(arm, 1 / len(arms)) for arm in arms),
            ),
            user_name(),
        )
        if experiment.folder is None:
            experiment.save(registry.folder / "experiments" / registered.id)
        follow(experiment, registered.id)
        _record(experiment, registry, registered.id)
    except Exception as error:  # noqa: BLE001 - whatever it is, the experiment goes on
        kept = "in memory only" if experiment.folder is None else f"in '{experiment.folder}'"
        warn(
            f"'{experiment.name}' is not in the registry: {error} Its rounds are kept {kept}.",
            PytycheWarning,
        )


def follow(experiment: "SequentialExperiment", experiment_id: str) -> None:
    """Record in the registry whatever happens to an experiment from now on."""

    def record() -> None:
        try:
            _record(experiment, open_registry(), experiment_id)
        except Exception as error:  # noqa: BLE001 - a round that is done must not be lost
            warn(
                f"The registry does not know of the last step of '{experiment.name}': {error} "
                "The experiment itself has it, and the next step will record both.",
                PytycheWarning,
            )

    experiment.subscribe(record)


def _record(experiment: "SequentialExperiment", registry: "Registry", experiment_id: str) -> None:
    from pytyche_engine.experiment.progress import progress_of
    from pytyche_engine.store.adaptive import record_progress

    record_progress(registry, experiment_id, progress_of(experiment), user_name())
