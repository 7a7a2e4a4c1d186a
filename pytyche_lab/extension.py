"""``%load_ext pytyche_lab``: the magic and its completions."""

import shlex
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher
from IPython.core.interactiveshell import InteractiveShell

from pytyche_lab.commands import COMMANDS
from pytyche_lab.magics import PytycheMagics


class Completions:
    """Completes a ``%pytyche`` line: subcommands, experiments' names, options."""

    def __init__(self, magics: PytycheMagics) -> None:
        self.magics = magics

    def words(self, line: str) -> list[str]:
        """What may stand at the end of a line in place of its last, unfinished word."""
        before = line.lstrip("%").split(" ")[1:]
        *given, start = before or [""]
        given = [word for word in given if word]
        if not given:
            choices = list(COMMANDS)
        elif (command := COMMANDS.get(given[0])) is None:
            choices = []
        elif start.startswith("-"):
            choices = [flag for flag in command.options if flag not in given]
        elif len(given) == 1 and command.experiment in ("one", "any"):
            choices = list(self.magics.experiments)
        elif given[-1] in ("--segment", "--arm"):
            choices = self._of_experiment(given[1] if len(given) > 1 else "", given[-1])
        elif given[-1] == "--data":
            choices = [n for n, v in self.magics.shell.user_ns.items() if _is_frame(n, v)]
        else:
            choices = []
        return [word for word in choices if word.startswith(start)]

    def _of_experiment(self, name: str, flag: str) -> list[str]:
        """The segments or arms of an experiment, as far as they can be typed without quotes."""
        experiment = self.magics.experiments.get(name)
        if experiment is None:
            return []
        if flag == "--arm":
            words = list(experiment.design.arms)
        else:
            words = [word for s in experiment.segments for word in (s.id, s.name)]
            words += [word for f in experiment.segments.followed for word in (f.id, f.name)]
        return [word for word in dict.fromkeys(words) if word and shlex.quote(word) == word]


def _is_frame(name: str, value: object) -> bool:
    return not name.startswith("_") and type(value).__name__ == "DataFrame"


def _matcher(completions: Completions) -> Any:
    @context_matcher()  # type: ignore[untyped-decorator]  # IPython has no types for it
    def pytyche_matcher(context: CompletionContext) -> dict[str, Any]:
        line = context.full_text.split("\n")[context.cursor_line][: context.cursor_position]
        if not line.lstrip().startswith(("%pytyche ", "%%pytyche ")):
            return {"completions": []}
        words = completions.words(line.lstrip())
        found = [SimpleCompletion(text=word, type="pytyche") for word in words]
        # Files of the folder are not what belongs here.
        return {"completions": found, "suppress": True}

    return pytyche_matcher


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Called by ``%load_ext pytyche_lab``."""
    magics = PytycheMagics(shell)
    shell.register_magics(magics)
    shell.Completer.custom_matchers.append(_matcher(Completions(magics)))


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Called by ``%unload_ext`` and ``%reload_ext``."""
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("pytyche", None)
    shell.Completer.custom_matchers[:] = [
        matcher
        for matcher in shell.Completer.custom_matchers
        if getattr(matcher, "__name__", "") != "pytyche_matcher"
    ]
