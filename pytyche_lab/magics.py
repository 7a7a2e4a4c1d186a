"""``%pytyche``: the loop of an experiment in words, over the public functions."""

import keyword
import shlex
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import (
    Magics,
    line_cell_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)

import pytyche_lab as pt
from pytyche_engine.contracts.errors import PytycheError
from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.tables import Table
from pytyche_engine.experiment.round import Round
from pytyche_lab import commands, recipe
from pytyche_lab.verbs import VERBS, Listing

if TYPE_CHECKING:
    from pytyche_lab.experiments import LabExperiment

STARTER: dict[str, Any] = {
    "treatments": ["control", "low_promo", "free_ship"],
    "schedule": {"initial": 2000, "growth": 2.0, "rounds": 3},
    "source": {"template": "clustered_realistic", "effect_scale": 0.5},
    "seed": 42,
}
"""What ``%pytyche new NAME`` makes when nothing else is said: a simulated experiment."""


@dataclass(frozen=True, repr=False)
class Help:
    """The subcommands."""

    def __repr__(self) -> str:
        return commands.help_text()


@magics_class
class PytycheMagics(Magics):
    """Holds the experiments that ``%pytyche new`` made, under their names."""

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.experiments: dict[str, LabExperiment] = {}

    @needs_local_scope
    @no_var_expand
    @line_cell_magic
    def pytyche(
        self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None
    ) -> Any:
        """Make an experiment and take it from round to round; ``%pytyche help`` lists how."""
        with _in_one_line():
            try:
                words = shlex.split(line)
            except ValueError as error:
                raise UsageError(f"%pytyche: {error}.") from None
            if not words or words[0] in ("-h", "--help"):
                words = ["help"]
            given = commands.parser().parse_args(words)
            if cell is not None and given.command != "new":
                raise UsageError(f"%%pytyche takes a body for 'new' only, not '{given.command}'.")
            match given.command:
                case "check":
                    return pt.check_setup()
                case "new":
                    return self._new(given, cell)
                case "advance":
                    return self._advance(given, local_ns or {})
                case "status":
                    return self._status(given)
                case "console":
                    return pt.console()
                case word if word in VERBS:
                    return VERBS[word](self._named(given.name), given)
                case _:
                    return Help()

    def _new(self, given: Namespace, cell: str | None) -> Plan:
        name = given.name
        if not name.isidentifier() or keyword.iskeyword(name):
            raise UsageError(f"'{name}' cannot be a variable's name; use letters, digits and _.")
        if name in self.shell.user_ns and not given.replace:
            raise UsageError(f"'{name}' exists already; choose another name or add --replace.")
        settings = dict(STARTER) if cell is None else recipe.read(cell)
        experiment = recipe.make(_with_options(settings, given), name)
        self.experiments[name] = experiment
        self.shell.user_ns[name] = experiment
        return experiment.plan

    def _advance(self, given: Namespace, local_ns: dict[str, Any]) -> Round:
        experiment = self._named(given.name)
        if given.data is None:
            return next(experiment)
        frames = self.shell.user_ns | local_ns
        if given.data not in frames:
            raise UsageError(f"There is no data frame named '{given.data}'.")
        return experiment.observe(frames[given.data])

    def _status(self, given: Namespace) -> Listing:
        chosen = self.experiments
        if given.name is not None:
            chosen = {given.name: self._named(given.name)}
        columns = ("experiment", "rounds", "visitors", "verdict", "confidence", "next round")
        return Listing(
            Table(columns, [_status_row(*item) for item in chosen.items()]),
            "no experiment yet: %pytyche new NAME",
        )

    def _named(self, name: str) -> "LabExperiment":
        if name not in self.experiments:
            known = ", ".join(self.experiments) or "none yet; %pytyche new NAME makes one"
            raise UsageError(f"There is no experiment '{name}'. Known: {known}.")
        return self.experiments[name]


def _status_row(name: str, experiment: "LabExperiment") -> tuple[str, ...]:
    history = experiment.history
    size = experiment.plan.n_visitors
    coming = "none, schedule exhausted" if size is None else f"{size:,} visitors"
    if not history:
        return (name, "0", "0", "—", "—", coming)
    last = history[-1]
    verdict = last.analysis.recommendation
    of = "" if last.n_rounds is None else f" of {last.n_rounds}"
    return (
        name,
        f"{len(history)}{of}",
        f"{last.n_cumulative:,}",
        f"{verdict.decision} {verdict.treatment} ({last.analysis.label})",
        experiment.confidence,
        coming,
    )


def _with_options(settings: dict[str, Any], given: Namespace) -> dict[str, Any]:
    """Settings with what the command line says put over them."""
    changed = dict(settings)
    if given.treatments is not None:
        changed["treatments"] = given.treatments
    if given.seed is not None:
        changed["seed"] = given.seed
    sizes = {k: v for k in ("initial", "growth", "rounds") if (v := getattr(given, k)) is not None}
    if sizes:
        changed["schedule"] = _over(changed.get("schedule"), sizes, "schedule")
    kind = {"template": given.template, "effect_scale": given.effect_scale}
    if kind := {k: v for k, v in kind.items() if v is not None}:
        changed["source"] = _over(changed.get("source"), kind, "source")
    return changed


def _over(below: Any, above: dict[str, Any], key: str) -> dict[str, Any]:
    if below is not None and not isinstance(below, dict):
        raise UsageError(f"'{key}' is given in the body in another form; change it there.")
    return {**(below or {}), **above}


@contextmanager
def _in_one_line() -> Iterator[None]:
    """Show what this package raises on purpose as one line; anything else keeps its traceback."""
    try:
        yield
    except PytycheError as error:
        raise UsageError(" ".join(str(error).split())) from None
    except StopIteration:
        raise UsageError("The schedule is exhausted: there is no next round.") from None
