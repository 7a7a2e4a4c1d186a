"""Numbers as people type them, where the decimal mark is a point and where it is a comma."""

import pytest

from pytyche_engine.contracts import DesignError
from pytyche_lab.widgets.typed import number, percentage

EITHER_MARK = {
    "5": 5.0,
    "-0.5": -0.5,
    "\u22120,5": -0.5,
    "1,5": 1.5,
    "0,234": 0.234,
    "0.234": 0.234,
    "1234": 1234.0,
    "1234,567": 1234.567,
    "1 234,5": 1234.5,
    "1'234.5": 1234.5,
    "1e3": 1000.0,
}


@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("text", EITHER_MARK)
def test_either_mark_is_read_where_it_can_mean_one_thing(text: str, decimal: str):
    assert number(text, decimal) == EITHER_MARK[text]


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [
        ("1.234", ".", 1.234),
        ("1,234", ",", 1.234),
        ("1,234.5", ".", 1234.5),
        ("1.234,5", ",", 1234.5),
        ("-1,234,567", ".", -1234567.0),
        ("1.234.567", ",", 1234567.0),
    ],
)
def test_the_readers_own_mark_is_the_decimal_one(text: str, decimal: str, value: float):
    assert number(text, decimal) == value


@pytest.mark.parametrize(
    ("text", "decimal", "either"),
    [
        ("1,234", ".", "1234 or 1.234"),
        ("1.234", ",", "1234 or 1,234"),
        ("-12,345", ".", "-12345 or -12.345"),
    ],
)
def test_what_could_be_two_numbers_is_not_guessed(text: str, decimal: str, either: str):
    with pytest.raises(DesignError, match=f"^'{text}' could be {either}. Write the one you mean.$"):
        number(text, decimal)


@pytest.mark.parametrize("text", ["", "three", "1,2,3", "1.2.3", "12,34.5", "nan", "inf", "1_5"])
def test_what_is_no_number_is_said(text: str):
    for decimal in (".", ","):
        with pytest.raises(DesignError, match=f"is not a number. Write one such as 1\\{decimal}5"):
            number(text, decimal)


@pytest.mark.parametrize(
    ("text", "share"), [("3", 0.03), (" 3.5 % ", 0.035), ("3,5", 0.035), ("33,333", 0.33333)]
)
def test_percentages_as_people_write_them(text: str, share: float):
    assert percentage(text) == pytest.approx(share)
    with pytest.raises(DesignError):
        percentage(f"{text} x")
