"""The questions that tell some rules apart: a policy tree, read back from its leaves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from pytyche_engine.contracts.rules import MISSING, Levels, Rule, Threshold


@dataclass(frozen=True)
class RuleLeaf:
    """The end of a path: which of the rules it is."""

    index: int


@dataclass(frozen=True)
class RuleSplit:
    """A question and what follows each answer.

    Attributes:
        feature: what is asked; empty where no single question tells the rules apart.
        answers: per branch, the answer in a few words.
        branches: what follows each answer.
    """

    feature: str
    answers: tuple[str, ...]
    branches: tuple["RuleNode", ...]


RuleNode = RuleLeaf | RuleSplit


def rule_tree(rules: Sequence[Rule]) -> RuleNode:
    """The tree whose leaves are these rules.

    Rules keep the order in which their clauses were asked, so the tree that they came from is
    found again (a question asked twice of one feature may come out in another order). Rules of
    no tree hang below one node without a question.

    Args:
        rules: at least one.
    """
    return _tree(tuple(rules))


@lru_cache(maxsize=32)
def _tree(rules: tuple[Rule, ...]) -> RuleNode:
    # A tree is shown again whenever something else about its segments changes.
    return _grow(tuple(enumerate(rules)))


_Numbered = tuple[tuple[int, Rule], ...]
_Answered = tuple[tuple[str, _Numbered], ...]


def _grow(rules: _Numbered) -> RuleNode:
    if len(rules) == 1:
        return RuleLeaf(rules[0][0])
    for clause in rules[0][1].clauses:
        answered = (
            _by_cut(rules, clause.feature)
            if isinstance(clause, Threshold)
            else _by_levels(rules, clause.feature)
        )
        if answered:
            return RuleSplit(
                clause.feature,
                tuple(answer for answer, _ in answered),
                tuple(_grow(below) for _, below in answered),
            )
    return RuleSplit(
        "", tuple(str(rule) for _, rule in rules), tuple(RuleLeaf(index) for index, _ in rules)
    )


def _by_cut(rules: _Numbered, feature: str) -> _Answered:
    """Two halves on either side of a cut of a numeric feature; empty if none parts all rules."""
    spans = [_span(rule, feature) for _, rule in rules]
    for cut in dict.fromkeys(c for span in spans for c in span if math.isfinite(c)):
        below = [high <= cut for _, high in spans]
        above = [low >= cut for low, _ in spans]
        if any(below) and any(above) and all(b or a for b, a in zip(below, above, strict=True)):
            halves = (
                tuple(r for r, b in zip(rules, below, strict=True) if b),
                tuple(r for r, b in zip(rules, below, strict=True) if not b),
            )
            return tuple(
                (f"{side} {cut:.6g}{' or missing' if _takes_missing(half, feature) else ''}", half)
                for side, half in zip(("<=", ">"), halves, strict=True)
            )
    return ()


def _span(rule: Rule, feature: str) -> tuple[float, float]:
    """Above what, and up to what, a rule wants a feature."""
    cuts = [c for c in rule.clauses if isinstance(c, Threshold) and c.feature == feature]
    return (
        max((c.cut for c in cuts if c.side == ">"), default=-math.inf),
        min((c.cut for c in cuts if c.side == "<="), default=math.inf),
    )


def _takes_missing(rules: _Numbered, feature: str) -> bool:
    return any(c.includes_missing for _, r in rules for c in r.clauses if c.feature == feature)


def _by_levels(rules: _Numbered, feature: str) -> _Answered:
    """Groups of rules that share no level of a feature; empty if there is one group only."""
    groups: list[tuple[set[str], list[tuple[int, Rule]]]] = []
    for numbered in rules:
        levels = _levels(numbered[1], feature)
        if levels is None:
            return ()
        touching = [g for g in groups if g[0] & levels]
        groups = [g for g in groups if not g[0] & levels]
        members = [r for _, below in touching for r in below]
        groups.append((levels.union(*(g[0] for g in touching)), [*members, numbered]))
    if len(groups) == 1:
        return ()
    return tuple(
        (", ".join(sorted(levels)), tuple(sorted(members, key=_place)))
        for levels, members in groups
    )


def _place(numbered: tuple[int, Rule]) -> int:
    return numbered[0]


def _levels(rule: Rule, feature: str) -> set[str] | None:
    for c in rule.clauses:
        if isinstance(c, Levels) and c.feature == feature:
            return {*c.levels, *((MISSING,) if c.includes_missing else ())}
    return None
