"""Rules that people write, and that what is shown reads back as what it was."""

import numpy as np
import pytest
from test_rules import NASTY

from pytyche_engine.contracts import DesignError, Levels, Rule, Threshold

WORDS = (
    *NASTY,
    "",
    " ",
    "  two  blanks",
    "arts and crafts",
    "And",
    "or",
    "email or missing",
    "(missing)",
    "missing",
    "everyone",
    "in",
    "x in {a}",
    "{",
    "}",
    "a,b",
    "a > 3",
    "b<=4",
    "c == d",
    "1) $0 - $100",
    "tab\there",
    "no\xa0break",
    "\x1c",
    "\u2028",
    "\ud800",
    '\\"',
    "not set",
)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("everyone", Rule()),
        (
            "browse_depth > 4 AND channel in {direct, email}",
            Rule((Threshold("browse_depth", ">", 4.0), Levels("channel", ("direct", "email")))),
        ),
        ("  age<=30 or  missing ", Rule((Threshold("age", "<=", 30.0, True),))),
        ("age > -1.5e3", Rule((Threshold("age", ">", -1500.0),))),
        ("channel == (missing)", Rule((Levels("channel", (), True),))),
        ("channel in { paid ,(missing) }", Rule((Levels("channel", ("paid",), True),))),
        ("channel in {}", Rule((Levels("channel", ()),))),
        (
            "channel==paid\nand depth>3",
            Rule((Levels("channel", ("paid",)), Threshold("depth", ">", 3.0))),
        ),
        ("days in stock > 3", Rule((Threshold("days in stock", ">", 3.0),))),
        ('"a > b" == "x AND y"', Rule((Levels("a > b", ("x AND y",)),))),
        ("segment == 1) $0 - $100", Rule((Levels("segment", ("1) $0 - $100",)),))),
    ],
)
def test_what_people_write_is_read(text, rule):
    assert Rule.parse(text) == rule


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a clause"),
        ("depth", "'depth' is not a clause"),
        ("depth >= 3", "'depth >= 3' is not a clause.*Write clauses such as browse_depth > 4"),
        ("depth => 3", "is not a clause"),
        ("depth < 3", "is not a clause"),
        ("channel = paid", "is not a clause"),
        ("depth > 1,000", "'1,000' in 'depth > 1,000' is not a finite number"),
        ("depth > many", "'many' in .* is not a finite number"),
        ("depth > inf", "not a finite number"),
        ("depth > nan", "not a finite number"),
        ("depth > 3 AND", "'depth > 3 AND' is not a clause"),
        ("depth > 3 AND everyone", "'everyone' is not a clause"),
        ("depth > 3, channel == paid", "is not a clause"),
        ("depth > 3 OR depth <= 1", "is not a clause"),
        ("channel == paid OR channel == email", "is not a clause"),
        ("channel == paid or email", "'paid or email' cannot be read as one name"),
        ("channel == paid or missing", "'paid or missing' cannot be read as one name"),
        ("channel in {paid, , email}", "'' cannot be read as one name"),
        ("channel in {paid", "is not a clause"),
        ("channel in paid", "is not a clause"),
        ("channel in {arts and crafts}", "'channel in {arts' is not a clause"),
        ('channel == "paid', "is not a clause"),
        (r'channel == "\q"', "quoted name .* cannot be read"),
        (None, "A rule is text, not NoneType"),
    ],
)
def test_what_cannot_be_read_is_refused_and_never_guessed(text, message):
    with pytest.raises(DesignError, match=message):
        Rule.parse(text)


@pytest.mark.parametrize("name", WORDS)
@pytest.mark.parametrize("missing", [False, True])
def test_every_name_and_level_reads_back(name, missing):
    for clause in (
        Threshold(name, ">", 2.5, missing),
        Levels("channel", (name,), missing),
        Levels(name, (name, "plain", name), missing),
        Levels(name, (), missing),
    ):
        rule = Rule((clause, Threshold("depth", "<=", -3.0, missing), clause))
        assert Rule.parse(str(rule)) == rule


def test_random_rules_read_back():
    rng = np.random.default_rng(0)
    letters = [
        *"ab \"\\{},<>=()\n\t'",
        *(" and ", " AND ", " or ", " in {", "(missing)", "é", "\\n"),
    ]

    def word():
        return "".join(rng.choice(letters, rng.integers(0, 7)))

    def clause():
        missing = bool(rng.random() < 0.5)
        if rng.random() < 0.5:
            cut = float(f"{rng.normal() * 10.0 ** rng.integers(-9, 9):.6g}")
            return Threshold(word(), "<=" if rng.random() < 0.5 else ">", cut, missing)
        return Levels(word(), tuple(word() for _ in range(rng.integers(0, 4))), missing)

    for _ in range(3000):
        rule = Rule(tuple(clause() for _ in range(rng.integers(0, 4))))
        assert Rule.parse(str(rule)) == rule


def test_plain_names_are_shown_without_quotes():
    rule = Rule((Levels("history segment", ("1) $0 - $100", "it's", "(not set)", "żółw-2")),))
    assert str(rule) == "history segment in {1) $0 - $100, it's, (not set), żółw-2}"
    assert str(Rule((Levels("c", ("a,b",)),))) == 'c == "a,b"'


def test_a_cut_reads_back_as_it_is_shown():
    shown = Rule.parse(str(Rule((Threshold("depth", ">", 0.1 + 0.2),))))
    assert shown == Rule((Threshold("depth", ">", 0.3),))
