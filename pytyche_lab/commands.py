"""The words of ``%pytyche``: subcommands and their options, as data."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from IPython.core.error import UsageError


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes:
        help: what it does, in a line.
        experiment: which experiment's name follows it: a "new" one, "one" that there is, "any"
            or none, or "no" name at all.
        options: its options, as arguments of `argparse.ArgumentParser.add_argument`.
    """

    help: str
    experiment: Literal["new", "one", "any", "no"] = "one"
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


COMMANDS: Mapping[str, Command] = {
    "check": Command("what this installation has: versions, devices", experiment="no"),
    "new": Command(
        "make an experiment; its settings come from options or, with %%, from YAML or TOML below",
        experiment="new",
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
    "edit": Command("the editor of that plan: weights, cells of one's own, arm mixes"),
    "advance": Command(
        "run the next round: serve, observe, fit, conclude",
        options={
            "--data": {"metavar": "FRAME", "help": "a data frame's name: the round's visitors"},
        },
    ),
    "status": Command("how far the experiments are", experiment="any"),
    "show": Command(
        "the dashboard of a finished round",
        options={"--round": {"type": int, "help": "which round, from 1; the latest if left out"}},
    ),
    "lab": Command("the cockpit: everything about an experiment in one place"),
    "segments": Command("the latest round's segments, and those that are registered"),
    "tree": Command("the policy tree of the latest round"),
    "select": Command(
        "select a segment in every open view; without one, none",
        options={"--segment": {"metavar": "ID", "help": "id or name of a segment"}},
    ),
    "rename": Command(
        "call a segment something people understand",
        options={
            "--segment": {"metavar": "ID", "required": True, "help": "id or name of a segment"},
            "--as": {"dest": "called", "metavar": "NAME", "required": True, "help": "its name"},
        },
    ),
    "register": Command(
        "follow a segment's rule, or one of your own, from the next round on",
        options={
            "--segment": {"metavar": "ID", "required": True, "help": "a segment, or a rule"},
            "--as": {"dest": "called", "metavar": "NAME", "required": True, "help": "its name"},
        },
    ),
    "retire": Command(
        "stop following a registered segment",
        options={"--segment": {"metavar": "ID", "required": True, "help": "its id or name"}},
    ),
    "drop": Command(
        "serve an arm in Optimized no more; Explore still serves it",
        options={
            "--arm": {"required": True, "help": "which arm"},
            "--reason": {"default": "", "help": "why, for the record"},
        },
    ),
    "revive": Command(
        "let a dropped arm be served in Optimized again",
        options={
            "--arm": {"required": True, "help": "which arm"},
            "--reason": {"default": "", "help": "why, for the record"},
        },
    ),
    "recommended": Command("serve the recommended plan instead of one of your own"),
    "history": Command("every finished round in a row"),
    "pause": Command("hold the fit that is running"),
    "resume": Command(
        "let a paused fit go on, or a round that was being fitted when its kernel ended"
    ),
    "stop": Command("end sampling and keep what is drawn, labelled if it is unconverged"),
    "cancel": Command("cancel the fit; the experiment stays as it was"),
    "console": Command(
        "all experiments of the registry: make, launch, stop, analyze", experiment="no"
    ),
    "help": Command("this list", experiment="no"),
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
        if command.experiment != "no":
            sub.add_argument("name", nargs="?" if command.experiment == "any" else None)
        for flag, settings in command.options.items():
            sub.add_argument(flag, **settings)
    return top


def help_text() -> str:
    """Every subcommand with its options."""
    lines = []
    for word, command in COMMANDS.items():
        name = {"new": " NAME", "one": " NAME", "any": " [NAME]", "no": ""}[command.experiment]
        lines.append(f"%pytyche {word + name:<13} {command.help}")
        lines += [f"    {flag:<17} {option['help']}" for flag, option in command.options.items()]
    return "\n".join(lines)
