"""Segments as an operator names, registers, retires and follows them."""

from dataclasses import replace

import pytest
from experiment_cases import experiment, finished, quietly

from pytyche_engine.contracts import ClaimError, ClaimLevel, DesignError, Rule
from pytyche_engine.contracts.rules import Threshold
from pytyche_engine.experiment import open_experiment

DEEP = Rule((Threshold("browse_depth", ">", 2.0),))


def test_a_name_goes_into_every_table_and_back_out_again(tmp_path):
    exp = experiment(path=tmp_path / "promo")
    quietly(next, exp)
    segment = next(iter(exp.segments)).id
    exp.segments.rename(segment, "Big <b>spenders</b>")
    assert exp.segments["Big <b>spenders</b>"].id == segment
    assert "Big <b>spenders</b>" in repr(exp.latest.analysis.segment_table().text())
    assert "&lt;b&gt;spenders" in exp.latest.analysis.segment_table().html()
    assert "<b>" not in exp.segments._repr_html_()
    again = open_experiment(tmp_path / "promo")
    assert repr(again.segments) == repr(exp.segments)
    exp.segments.rename(segment, "")
    assert exp.segments[segment].name == ""


def test_a_registered_rule_is_followed_and_confirmed_by_later_rounds_only(tmp_path):
    exp = experiment(path=tmp_path / "promo")
    quietly(next, exp)
    followed = exp.segments.register(DEEP, "deep browsers")
    assert followed == "R1"
    assert [s.id for s in exp.segments if s.id == "R1"] == []  # from the next round on
    second = quietly(next, exp)
    mine = exp.segments["deep browsers"]
    assert mine.rule == DEEP
    own = DEEP.matches(second.observations.features)
    assert mine.held_out_rows == own.sum()
    assert mine.n_visitors > own.sum()
    assert {v.arm for v in second.analysis.verdicts if v.segment.id == "R1"} == set(mine.gates)
    assert "deep browsers (R1)" in repr(second.analysis)
    quietly(next, exp)
    history = exp.segments.history("R1")
    assert [row[0] for row in history.rows] == ["2", "3"]

    again = open_experiment(tmp_path / "promo")
    assert repr(again.segments.history("deep browsers")) == repr(history)


def test_a_retired_rule_is_not_followed_any_more():
    exp = experiment()
    quietly(next, exp)
    exp.segments.register(DEEP, "deep")
    exp.segments.retire("deep")
    quietly(next, exp)
    assert "R1" not in [s.id for s in exp.segments]
    with pytest.raises(DesignError, match="not a registered segment"):
        exp.segments.retire("deep")


def test_what_cannot_be_named_or_followed_is_refused():
    exp = experiment()
    with pytest.raises(DesignError, match="none yet"):
        exp.segments.rename("S1", "x")
    quietly(next, exp)
    book = exp.segments
    first = next(iter(book)).id
    book.register(DEEP, "deep")
    with pytest.raises(DesignError, match="followed already, as R1"):
        book.register(DEEP, "deeper")
    with pytest.raises(DesignError, match="called 'deep' already"):
        book.rename(first, "deep")
    with pytest.raises(DesignError, match="needs a name"):
        book.register(Rule((Threshold("browse_depth", ">", 1.0),)), " ")
    with pytest.raises(DesignError, match="'nonsense'"):
        book.register(Rule((Threshold("nonsense", ">", 1.0),)), "n")
    with pytest.raises(DesignError, match="Everyone is followed anyway"):
        book.register(Rule(), "all")
    with pytest.raises(DesignError, match="characters"):
        book.rename(first, "x" * 200)


def test_exploratory_evidence_does_not_graduate():
    exp = finished()
    latest = exp.latest
    everyone = latest.analysis.everyone
    weak = replace(
        everyone,
        id="S9",
        rule=DEEP,
        claims=dict.fromkeys(everyone.gates, ClaimLevel.EXPLORATORY),
        claim_reason="Found and estimated on the same visitors.",
    )
    changed = replace(latest, analysis=replace(latest.analysis, registered=(weak,)))
    other = experiment()
    other._state = replace(exp._state, rounds=(*exp.history[:-1], changed))
    with pytest.raises(ClaimError, match=r"'S9'.*exploratory"):
        other.graduate("low_promo", "S9")
    with pytest.raises(DesignError, match="not a treatment"):
        other.graduate("control", "S9")


def test_what_a_candidate_lacks_is_said_and_everyone_can_be_asked_for():
    exp = finished()
    with pytest.raises(ClaimError, match="'low_promo' for everyone is no graduation candidate"):
        exp.graduate("low_promo", "everyone")


@pytest.mark.parametrize("name", ["S1", "r7", "Everyone", "two\nlines", 5])
def test_names_that_read_as_ids_or_break_tables_are_refused(name):
    exp = experiment()
    quietly(next, exp)
    with pytest.raises(DesignError):
        exp.segments.rename("everyone", name)


def test_rules_can_be_registered_as_text_and_their_kind_is_checked():
    exp = experiment()
    with pytest.raises(DesignError, match="before the first round"):
        exp.segments.register("browse_depth > 2", "deep")
    quietly(next, exp)
    with pytest.raises(DesignError, match="with a number"):
        exp.segments.register("channel > 4", "odd")
    with pytest.raises(DesignError, match="nobody has had so far"):
        exp.segments.register("channel == sozial", "odd")
    exp.segments.register("browse_depth > 2", "deep")
    assert "from the next round on" in repr(exp.segments)
    exp.segments.retire("deep")
    assert exp.segments.register("browse_depth > 1", "deep") == "R2"  # the name is free again
