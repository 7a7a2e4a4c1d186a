"""Names, text and numbers as standard SQL, whatever they hold."""

import math
import re

from pytyche_engine.contracts.errors import DesignError

_UNWRITABLE = re.compile("[\0\ud800-\udfff]")  # no database takes these in text


def sql_name(name: str, table: str = "") -> str:
    """A column as a quoted name, after ``table.`` if one is given."""
    _check(name)
    quoted = '"' + name.replace('"', '""') + '"'
    return f"{table}.{quoted}" if table else quoted


def sql_text(text: str) -> str:
    """Text as a literal that no database reads as anything else."""
    _check(text)
    quoted = "'" + text.replace("'", "''") + "'"
    # A backslash is itself in the standard and an escape in some databases. The first
    # character of two is one backslash in both.
    return quoted.replace("\\", r"' || SUBSTR('\\', 1, 1) || '")


def sql_number(number: float) -> str:
    """A number as the shortest literal that reads back as the same one.

    Raises:
        DesignError: if it is not finite.
    """
    if not math.isfinite(number):
        raise DesignError(f"{number} cannot be written in a rule; use a finite number.")
    return repr(float(number))


def _check(text: str) -> None:
    if _UNWRITABLE.search(text):
        raise DesignError(
            f"{text!r} holds a character that cannot be written in SQL (NUL or half of a "
            "surrogate pair); rename it in the data."
        )
