"""Warnings that point at the user's code."""

import sys
import warnings

_OURS = ("pytyche_engine", "pytyche_lab")


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line outside of this project that led here.

    Python's default filter prints a warning once for each such line, and the line is what the
    user can change; a line of ours would tell nothing.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in _OURS:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
