import numpy as np
import pytest

from pytyche_engine.allocation import (
    ExplicitSchedule,
    FixedSchedule,
    GeometricSchedule,
    schedule,
)
from pytyche_engine.contracts import DesignError


def sizes(s, upto):
    return [s.next_round_size(i) for i in range(upto)]


def test_the_tutorials_schedule():
    s = GeometricSchedule(initial=50_000, growth=2.0, n_rounds=3)
    assert sizes(s, 5) == [50_000, 100_000, 200_000, None, None]
    assert s.n_rounds == 3


def test_sizes_are_rounded_and_open_ends_stay_open():
    assert sizes(GeometricSchedule(100, 1.155), 4) == [100, 116, 133, 154]
    assert GeometricSchedule(100).n_rounds is None
    assert sizes(FixedSchedule(900, 2), 3) == [900, 900, None]
    assert FixedSchedule(900).next_round_size(10**6) == 900
    assert sizes(ExplicitSchedule((10, 30)), 3) == [10, 30, None]
    assert ExplicitSchedule((10, 30)).n_rounds == 2


def test_a_shrinking_schedule_ends_before_an_empty_round():
    assert sizes(GeometricSchedule(8, 0.4), 5) == [8, 3, 1, 1, None]


def test_a_list_of_sizes_is_a_schedule():
    assert schedule([900, 900]) == ExplicitSchedule((900, 900))
    assert schedule((5,)) == ExplicitSchedule((5,))
    assert schedule(np.array([3, 4])) == ExplicitSchedule((3, 4))
    mine = FixedSchedule(4)
    assert schedule(mine) is mine


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GeometricSchedule(0), "'initial' of the schedule is 0"),
        (lambda: GeometricSchedule(100.5), "use a whole number of visitors"),
        (lambda: GeometricSchedule(True), "'initial'"),
        (lambda: GeometricSchedule(100, 0), "'growth' of the schedule is 0"),
        (lambda: GeometricSchedule(100, float("nan")), "'growth'"),
        (lambda: GeometricSchedule(100, "2"), "'growth'"),
        (lambda: GeometricSchedule(100, 2.0, 0), "'n_rounds'"),
        (lambda: GeometricSchedule(10, 0.1, 3), "last of 3 rounds would have no visitors"),
        (lambda: FixedSchedule(-5), "'per_round'"),
        (lambda: FixedSchedule(5, 1.5), "'n_rounds'"),
        (lambda: ExplicitSchedule(()), "empty"),
        (lambda: ExplicitSchedule((100, 0)), "Round 2 of the schedule is 0"),
        (lambda: ExplicitSchedule("900"), "use a list of numbers"),
        (lambda: ExplicitSchedule(900), "use a list of numbers"),
        (lambda: schedule(900), "use a list of round sizes such as"),
        (lambda: schedule("900"), "use a list of round sizes"),
        (lambda: schedule(None), "use a list of round sizes"),
        (lambda: schedule(GeometricSchedule), "use a list of round sizes"),
        (lambda: schedule(["900"]), "Round 1 of the schedule is '900'"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(make, message):
    with pytest.raises(DesignError, match=message):
        make()
