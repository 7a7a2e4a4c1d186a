"""A plan in the forms that whoever assigns visitors can run: SQL, Python, JSON.

All three draw alike. SHA-256 of the text ``<salt>/<visitor id>`` (UTF-8), in lower-case hex
digits: the first 13 of them over 16^13 are ``u_cell``, the next 13 are ``u_arm``. Both are
uniform on [0, 1), independent of each other, and the same for a visitor whenever and wherever
they are computed. Cells share out [0, 1) by weight, in order, and ``u_cell`` falls into one of
them; the first of the cell's routes that the visitor matches does the same with its arms and
``u_arm``.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from pytyche_engine.contracts.cells import Cell
from pytyche_engine.contracts.features import DATE_PARTS
from pytyche_engine.contracts.policies import Route
from pytyche_engine.contracts.rules import Levels
from pytyche_engine.contracts.sql import sql_name, sql_number, sql_text

SCHEMA, VERSION = "pytyche-lab/plan", 1
"""Name and version of the JSON document; the version changes when a reader would have to."""

_DATE_PART = dict(
    zip(
        DATE_PARTS,
        (
            "month, 1 to 12",
            "day of the week, 0 (Monday) to 6",
            "hour, 0 to 23",
            "whole days since 1970-01-01",
        ),
        strict=True,
    )
)


@dataclass(frozen=True)
class Exported:
    """What is exported of a plan.

    Attributes:
        experiment: the experiment's name, or ``""``.
        round_index: the round, from 0.
        arms: arm names, control first.
        cells: the plan's cells.
    """

    experiment: str
    round_index: int
    arms: tuple[str, ...]
    cells: tuple[Cell, ...]

    @property
    def salt(self) -> str:
        """What keeps this round's draws apart from all others: hex digits, safe anywhere.

        It depends on the experiment's name (its arms, if it has none) and the round alone, so
        that visitors keep their draws when a cell is edited.
        """
        named = json.dumps([self.experiment or self.arms, self.round_index])
        return hashlib.sha256(named.encode()).hexdigest()[:16]

    @property
    def features(self) -> dict[str, str]:
        """For each feature that a rule asks for, what its values must be."""
        clauses = [c for cell in self.cells for rule in cell.policy.rules for c in rule.clauses]
        return {c.feature: _values_of(c.feature, isinstance(c, Levels)) for c in clauses}


def _values_of(feature: str, has_levels: bool) -> str:
    if has_levels:
        return "text, or true and false"
    source, _, part = feature.rpartition(".")
    if source and part in _DATE_PART:
        return f"a number; if the name before the dot is a date's, its {_DATE_PART[part]} (UTC)"
    return "a number"


def _ends(shares: Sequence[float]) -> list[tuple[int, float]]:
    """Where shares above 0 end on [0, 1), with their positions; the last one ends at 1."""
    ends = list(accumulate(shares))
    return [(k, end / ends[-1]) for k, end in enumerate(ends) if shares[k] > 0]


def _routes(cell: Cell, arms: Sequence[str]) -> list[Route]:
    """A cell's routes up to the first for everyone: none after it is ever reached."""
    routes = cell.policy.routing(arms)
    everyone = next(i for i, route in enumerate(routes) if not route.rule.clauses)
    return list(routes[: everyone + 1])


def _shares(route: Route, arms: Sequence[str]) -> tuple[float, ...]:
    return tuple(route.arm_shares(arms).tolist())


def _weights(cells: Sequence[Cell]) -> tuple[float, ...]:
    return tuple(float(cell.weight) for cell in cells)


# JSON


def as_json(exported: Exported, plan: Mapping[str, Any]) -> str:
    """The plan as a document that needs nothing beside it; see `Plan.export`.

    Args:
        exported: the plan.
        plan: the same as plain JSON values, from which it can be read back.
    """
    cells = [
        {
            **written,
            "routes": [
                {
                    "segment": route.segment,
                    "rule": route.rule.to_dict(),
                    "sql": route.rule.to_sql(),
                    "shares": dict(zip(exported.arms, _shares(route, exported.arms), strict=True)),
                }
                for route in _routes(cell, exported.arms)
            ],
        }
        for cell, written in zip(exported.cells, plan["cells"], strict=True)
    ]
    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "experiment": exported.experiment,
        **plan,
        "cells": cells,
        "features": exported.features,
        "assignment": {
            "hash": "sha256",
            "salt": exported.salt,
            "text": "<salt>/<visitor id>, in UTF-8",
            "u_cell": "hex digits 1 to 13 of the hash, divided by 16^13",
            "u_arm": "hex digits 14 to 26 of the hash, divided by 16^13",
            "choice": "the first cell whose weights so far, divided by the sum of all weights, "
            "are more than u_cell; of its routes the first whose rule holds; its first arm "
            "whose shares so far, divided by the sum of all shares, are more than u_arm",
        },
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


# SQL

_SQL_HEAD = """\
-- Cell and arm of each visitor in round {round} of {experiment}.
--
-- Standard SQL with names in double quotes (PostgreSQL, SQLite and others). Where names are
-- written otherwise, the statement fails; it does not give other arms.
-- Read from a table, view or query called "visitors" with one row a visitor and the columns
--   "visitor_id", "u_cell", "u_arm"{features}
-- Missing values are NULL, NaN among them.
--
-- "u_cell" and "u_arm" are fractions of [0, 1): hex digits 1 to 13 and 14 to 26 of SHA-256 of
-- the text {salt}/<visitor_id>, each divided by 16^13 = 4503599627370496.
-- PostgreSQL has them from a table "people" when this stands before SELECT:
--   WITH hashed AS (
--     SELECT p.*,
--       encode(sha256(convert_to('{salt}/' || p.visitor_id, 'UTF8')), 'hex') AS hex
--     FROM people AS p
--   ), visitors AS (
--     SELECT hashed.*,
--       CAST(CAST(CAST('x' || substr(hex, 1, 13) AS bit(52)) AS bigint) AS double precision)
--         / 4503599627370496 AS u_cell,
--       CAST(CAST(CAST('x' || substr(hex, 14, 13) AS bit(52)) AS bigint) AS double precision)
--         / 4503599627370496 AS u_arm
--     FROM hashed
--   )
-- A database without SHA-256 takes them from `draws` of the plan's Python export.
"""


def as_sql(exported: Exported) -> str:
    """The plan as one SELECT; see `Plan.export`."""
    served = [(exported.cells[i], end) for i, end in _ends(_weights(exported.cells))]
    cell = _drawn("u_cell", [(sql_text(c.id), end) for c, end in served], depth=1)
    arm = _drawn("u_cell", [(_arm(c, exported.arms, depth=2), end) for c, end in served], depth=1)
    head = _SQL_HEAD.format(
        round=exported.round_index + 1,
        experiment=json.dumps(exported.experiment or "an experiment without a name"),
        salt=exported.salt,
        # Names as JSON: they hold no line break, which would end the comment.
        features="".join(f"\n--   {json.dumps(k)}: {v}" for k, v in exported.features.items()),
    )
    # Text for a person to read: nothing here runs it, and every name in it was quoted.
    return (
        f'{head}SELECT\n  v."visitor_id",\n  {cell} AS "cell",\n  {arm} AS "arm"\n'  # nosec B608
        'FROM "visitors" AS v;\n'
    )


def _arm(cell: Cell, arms: Sequence[str], depth: int) -> str:
    """The arm of those in a cell."""
    *routes, last = _routes(cell, arms)
    nested = depth + 1 if routes else depth

    def drawn(route: Route) -> str:
        ends = _ends(_shares(route, arms))
        return _drawn("u_arm", [(sql_text(arms[k]), end) for k, end in ends], nested)

    return _case([(route.rule.to_sql("v"), drawn(route)) for route in routes], drawn(last), depth)


def _drawn(column: str, choices: Sequence[tuple[str, float]], depth: int) -> str:
    if len(choices) == 1:
        return choices[0][0]
    number = sql_name(column, "v")
    # The last one, too, is asked for: a number that is NULL or a percentage gives NULL.
    below = [(f"{number} < {sql_number(end)}", chosen) for chosen, end in choices]
    return _case(below, "NULL", depth)


def _case(branches: Sequence[tuple[str, str]], otherwise: str, depth: int) -> str:
    # Written at its depth at once: indented later, a text with line breaks would change.
    if not branches:
        return otherwise
    line = "\n" + "  " * depth
    whens = "".join(f"{line}  WHEN {when} THEN {then}" for when, then in branches)
    return f"CASE{whens}{line}  ELSE {otherwise}{line}END"


# Python

_PYTHON_HEAD = '''\
"""Which cell and arm a visitor gets: one round of an experiment, as its plan has it.

    cell, arm = assign("visitor 17", {"a feature": 3.0, "another": "paid"})

The same visitor gets the same cell and arm every time, on every machine. Features that rules ask
for are in FEATURES; None and NaN are missing values, and all of them have to be given.
Only the standard library is needed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

'''

_PYTHON_TAIL = '''

def assign(visitor_id: str, features: Mapping[str, Any]) -> tuple[str, str]:
    """The cell and the arm of a visitor."""
    _check(features)
    u_cell, u_arm = draws(visitor_id)
    cell = pick(u_cell, list(CELLS), list(CELLS.values()))
    return cell, pick(u_arm, ARMS, arm_shares(cell, features))


def probabilities(features: Mapping[str, Any]) -> dict[str, float]:
    """The probability of each arm for visitors with these features, over all cells."""
    _check(features)
    total = dict.fromkeys(ARMS, 0.0)
    for cell, weight in CELLS.items():
        for arm, share in zip(ARMS, arm_shares(cell, features)):
            total[arm] += weight * share
    return total


def draws(visitor_id: str) -> tuple[float, float]:
    """Two numbers in [0, 1): the first chooses a visitor's cell, the second the arm."""
    digits = hashlib.sha256(f"{SALT}/{visitor_id}".encode()).hexdigest()
    return int(digits[:13], 16) / 16**13, int(digits[13:26], 16) / 16**13


def pick(u: float, names: Sequence[str], shares: Sequence[float]) -> str:
    """The first name whose shares so far, of all shares, are more than u."""
    ends = list(accumulate(shares))
    return next(name for name, end in zip(names, ends) if u < end / ends[-1])


def _check(features: Mapping[str, Any]) -> None:
    if absent := [name for name in FEATURES if name not in features]:
        raise KeyError(f"give these features, too (None where missing): {absent}")
'''


def as_python(exported: Exported) -> str:
    """The plan as a module; see `Plan.export`."""
    # `ascii` of a text is one line that reads back as the same text, whatever it holds.
    features = "".join(f"    {str(k)!a}: {v!r},\n" for k, v in exported.features.items())
    cells = "".join(f"    {str(c.id)!a}: {float(c.weight)!r},\n" for c in exported.cells)
    constants = (
        f"EXPERIMENT = {str(exported.experiment)!a}\n"
        f"ROUND = {int(exported.round_index) + 1}\n"
        f"SALT = {exported.salt!r}\n"
        f"ARMS = {tuple(map(str, exported.arms))!a}  # control first\n"
        f"CELLS = {{  # with their weights\n{cells}}}\n"
        f"FEATURES = {{\n{features}}}\n"
    )
    shares = [
        "\n\ndef arm_shares(cell: str, features: Mapping[str, Any]) -> tuple[float, ...]:\n"
        '    """The probability of each of ARMS for a visitor in a cell."""\n'
    ]
    for cell in exported.cells:
        *routes, last = _routes(cell, exported.arms)
        shares.append(f"    if cell == {str(cell.id)!a}:\n")
        shares += [
            f"        if {route.rule.to_python()}:  # {str(route.segment)!a}\n"
            f"            return {_shares(route, exported.arms)!r}\n"
            for route in routes
        ]
        shares.append(f"        return {_shares(last, exported.arms)!r}\n")
    shares.append("    raise KeyError(cell)\n")
    return _PYTHON_HEAD + constants + "".join(shares) + _PYTHON_TAIL
