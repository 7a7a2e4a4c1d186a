"""The words of ``%pytyche``: subcommands and their options, as data."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from IPython.core.error import UsageError


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes:
        help: what it does, in a line.
        name: whether it takes an experiment's name: "new", "one", "any" (may be left out), "no".
        options: its options, as arguments of `argparse.ArgumentParser.add_argument`.
    """

    help: str
    name: str = "one"
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


COMMANDS: Mapping[str, Command] = {
    "check": Command("what this installation has: versions, devices", name="no"),
    "new": Command(
        "make an experiment; its settings come from options or, with %%, from YAML or TOML below",
        name="new",
        options={
            "--treatments": {"nargs": "+", "metavar": "ARM", "help": "arm names, control first"},
            "--initial": {"type": int, "help": "visitors of the first round"},
            "--growth": {"type": float, "help": "factor from one round to the next"},
            "--rounds": {"type": int, "help": "how many rounds"},
            "--template": {"help": "template of the simulated source"},
            "--effect-scale": {"type": float, "help": "size of the simulated effects"},
            "--seed": {"type": int, "help": "seed of the source and of every fit"},
            "--replace": {"action": "store_true", "help": "replace what has this name"},
        },
    ),
    "plan": Command("the plan of the next round: its cells, weights and policies"),
    "advance": Command(
        "run the next round: serve, observe, fit, conclude",
        options={
            "--data": {"metavar": "FRAME", "help": "a data frame's name: the round's visitors"},
        },
    ),
    "status": Command("how far the experiments are", name="any"),
    "show": Command(
        "the dashboard of a finished round",
        options={"--round": {"type": int, "help": "which round, from 1; the latest if left out"}},
    ),
    "console": Command("all experiments of the registry: make, launch, stop, analyze", name="no"),
    "help": Command("this list", name="no"),
}


class _Parser(argparse.ArgumentParser):
    """Reports a wrong word as one line instead of leaving the kernel."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}. See %pytyche help.")


def parser() -> argparse.ArgumentParser:
    """The parser of a ``%pytyche`` line."""
    top = _Parser(prog="%pytyche", add_help=False)
    words = top.add_subparsers(dest="command", metavar="command", required=True)
    for name, command in COMMANDS.items():
        sub = words.add_parser(name, add_help=False)
        if command.name != "no":
            sub.add_argument("name", nargs="?" if command.name == "any" else None)
        for flag, settings in command.options.items():
            sub.add_argument(flag, **settings)
    return top


def help_text() -> str:
    """Every subcommand with its options."""
    lines = []
    for word, command in COMMANDS.items():
        name = {"new": " NAME", "one": " NAME", "any": " [NAME]", "no": ""}[command.name]
        lines.append(f"%pytyche {word + name:<13} {command.help}")
        lines += [f"    {flag:<17} {option['help']}" for flag, option in command.options.items()]
    return "\n".join(lines)
