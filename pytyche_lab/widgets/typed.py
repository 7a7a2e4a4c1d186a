"""Numbers as people type them into fields."""

import math
import re

from pytyche_engine.contracts import DesignError

_APART = re.compile(r"(?<=\d)[\s'’](?=\d{3}(?!\d))")
"""What only ever stands between groups of figures: "1 234", "1'234"."""
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
_DOUBTFUL = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


def percentage(text: object) -> float:
    """What was typed as a percentage, as a share; "3", "3.5 %" and "3,5" all do.

    No percentage needs groups, so either mark is the decimal one.

    Raises:
        DesignError: if it is no number.
    """
    typed = str(text).strip().removesuffix("%").strip().replace(",", ".")
    value = _finite(typed)
    if value is None:
        raise DesignError(f"'{text}' is not a percentage. Write a number such as 5 or 7.5.")
    return value / 100


def number(text: str, decimal: str = ".") -> float:
    """What was typed as a number by somebody whose decimal mark is a point or a comma.

    Their own mark is the decimal one. The other one may be as well ("1,5"), or stand between
    groups ("1,234.5", "1,234,567"). Where it could be either ("1,234"), nothing is guessed.

    Args:
        text: what was typed.
        decimal: the reader's decimal mark, "." or ",".

    Raises:
        DesignError: if it is no number, or could be two.
    """
    typed = _APART.sub("", text.strip().replace("\u2212", "-"))
    if decimal == ",":
        typed = _swapped(typed)
    if _DOUBTFUL.fullmatch(typed):
        whole, part = typed.replace(",", ""), typed.replace(",", ".")
        either = [whole, _swapped(part) if decimal == "," else part]
        raise DesignError(f"'{text}' could be {' or '.join(either)}. Write the one you mean.")
    plain = typed.replace(",", "") if _GROUPS.fullmatch(typed) else typed.replace(",", ".")
    value = _finite(plain)
    if value is None:
        raise DesignError(f"'{text}' is not a number. Write one such as 1{decimal}5.")
    return value


def _swapped(text: str) -> str:
    return text.translate(str.maketrans(".,", ",."))


def _finite(text: str) -> float | None:
    # Python's own reading takes "1_5" and "nan" too.
    value = float(text) if _PLAIN.fullmatch(text) else math.nan
    return value if math.isfinite(value) else None
