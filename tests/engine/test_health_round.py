"""Converters per segment, and a round's health as people read it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from trials import trial

from pytyche_engine.contracts import (
    CrossCheck,
    DesignError,
    DriftCheck,
    LiftChange,
    Outcome,
    Rule,
    Threshold,
)
from pytyche_engine.contracts.estimates import Estimate
from pytyche_engine.contracts.health import (
    BalanceCheck,
    Imbalance,
    SeverityCheck,
    SeverityStatistic,
    TrafficSplit,
)
from pytyche_engine.contracts.round_health import RoundHealth
from pytyche_engine.decisions.converters import converters_by_segment

SEGMENTS = {
    "everyone": Rule(()),
    "high z0": Rule((Threshold("z0", ">", 1.5),)),
}


def test_visitors_and_converters_are_counted_in_every_segment():
    observations = trial(n=900)
    check = converters_by_segment(observations, SEGMENTS)
    assert [(r.segment, r.arm) for r in check.rows] == [
        (s, a) for s in SEGMENTS for a in observations.arms
    ]
    high = observations.features["z0"].to_numpy() > 1.5
    for row in check.rows:
        mine = observations.arm == observations.arms.index(row.arm)
        mine &= high if row.segment == "high z0" else True
        assert row.visitors == mine.sum()
        assert row.converters == (mine & observations.converted).sum()
        assert row.few == (row.converters < check.fewest)
    assert {r.segment for r in check.few} == {"high z0"}
    assert [r.converters for r in check.few] == sorted(r.converters for r in check.few)


def test_at_the_limit_data_weigh_as_much_as_the_prior():
    # The posterior of a normal mean, by numbers: half way between the prior's and the data's.
    observations = trial(n=300)
    fewest = converters_by_segment(observations, SEGMENTS).fewest
    grid = np.linspace(-2, 2, 20_001)
    density = stats.norm.pdf(grid, 0, 0.15) * stats.norm.pdf(0.4, grid, 1 / np.sqrt(fewest))
    assert (grid * density).sum() / density.sum() == pytest.approx(0.2, abs=1e-3)
    # Binary: the precision of a probit rate, from the binomial likelihood's curvature.
    binary = trial(n=6_000, outcome=Outcome.BINARY)
    fewest = converters_by_segment(binary, SEGMENTS).fewest
    p = binary.converted.mean()
    n, h = fewest / p, 1e-3

    def log_likelihood(probit: float) -> float:
        return n * (p * stats.norm.logcdf(probit) + (1 - p) * stats.norm.logsf(probit))

    at = stats.norm.ppf(p)
    curvature = (log_likelihood(at + h) + log_likelihood(at - h) - 2 * log_likelihood(at)) / h**2
    assert -curvature == pytest.approx(1 / 0.15**2, rel=0.01)


def test_wrong_questions_about_converters_are_refused():
    with pytest.raises(DesignError, match="prior standard deviation"):
        converters_by_segment(trial(n=60), SEGMENTS, prior_sd=0)
    with pytest.raises(DesignError, match="without visitors"):
        converters_by_segment(trial(n=60).take(np.zeros(60, dtype=bool)), SEGMENTS)


FINE = TrafficSplit(0.4, "b", 1000.0, 1010, "arm")
NOT_RECORDED = TrafficSplit(None, "", 0.0, 0)
MODEL = Estimate(2.0, 1.9, 2.1, 0.1)


def statistic(name, *, flagged: bool) -> SeverityStatistic:
    return SeverityStatistic(name, 0.3, MODEL, 0.002, flagged, f"{name} matters.", 29.99)


def lift_change(*, alarm: bool) -> LiftChange:
    size = Estimate(-0.5, -0.9, -0.1, 0.1)
    return LiftChange("s1", "b", 2, 1, 0.6, 0.1, size, None, "revenue", 0.0001, alarm)


def cross_check(*, disagree: bool) -> CrossCheck:
    return CrossCheck("b", 2.4, replace(MODEL, mean=2.5, high=2.7), MODEL, 0.0004, disagree)


HEALTHY = RoundHealth(
    round_index=2,
    first_round=0,
    traffic=FINE,
    traffic_over_rounds=FINE,
    balance=BalanceCheck((Imbalance("age", "b", 0.01, 1.0, False),), recorded=True),
    severity=SeverityCheck(400, (statistic("atom", flagged=False),)),
    converters=converters_by_segment(trial(n=3_000), {"everyone": Rule(())}),
    drift=DriftCheck(2, 0.03, (lift_change(alarm=False),), ()),
    cross_checks=(cross_check(disagree=False),),
)


def test_a_healthy_round_has_no_lamp_lit_and_no_alarm():
    assert set(HEALTHY.lamps.values()) == {"ok"}
    assert HEALTHY.alarms == ()


def test_what_was_not_checked_is_unknown_and_no_alarm():
    health = RoundHealth(0, 0, NOT_RECORDED, NOT_RECORDED)
    assert set(health.lamps.values()) == {"unknown"}
    assert health.alarms == ()
    assert "unknown" in health.table().text()
    few = replace(health, severity=SeverityCheck(20, ()), balance=BalanceCheck((), True))
    assert few.lamps["model_fit"] == few.lamps["balance"] == "unknown"
    unwatched = replace(health, drift=DriftCheck(0, 0.03, (), (("s1", "b"),)))
    assert unwatched.lamps["drift"] == "unknown"


@pytest.mark.parametrize(
    ("part", "lamp", "state", "words"),
    [
        (
            {"traffic": TrafficSplit(1e-9, "b", 1000.0, 900, "arm")},
            "srm",
            "alarm",
            ("Round 3", "Arm 'b'", "900", "1,000", "−10.0 %", "lost or doubled"),
        ),
        (
            {"traffic_over_rounds": TrafficSplit(0.0, "stray", 0.0, 7, "cell")},
            "srm",
            "alarm",
            ("Rounds 1 to 3", "Cell 'stray'", "7 visitors", "0 were expected"),
        ),
        (
            {"balance": BalanceCheck((Imbalance("age", "b", -0.2, 1e-6, True),), recorded=True)},
            "balance",
            "alarm",
            ("'b'", "'age'", "−0.200 standard deviations", "recorded probabilities"),
        ),
        (
            {"balance": BalanceCheck((Imbalance("age", "b", -0.2, 1e-6, True),), recorded=False)},
            "balance",
            "alarm",
            ("No assignment probabilities were recorded",),
        ),
        (
            {"drift": DriftCheck(2, 0.03, (lift_change(alarm=True),), ())},
            "drift",
            "alarm",
            ("'b'", "'s1'", "went down", "forget"),
        ),
        (
            {"severity": SeverityCheck(400, (statistic("atom", flagged=True),))},
            "model_fit",
            "warn",
            ("30.0% of orders are $29.99", "atom matters."),
        ),
        (
            {"severity": SeverityCheck(400, (statistic("mean", flagged=True),))},
            "model_fit",
            "alarm",
            ("the mean order is $0.30", "mean matters."),
        ),
        (
            {"cross_checks": (cross_check(disagree=True),)},
            "model_fit",
            "alarm",
            ("'b'", "$2.0000", "$2.5000", "Go by AIPW"),
        ),
        (
            {"converters": converters_by_segment(trial(n=300), SEGMENTS)},
            "converters",
            "warn",
            ("Fewer than 44 converters", "'high z0'", "merge the segment"),
        ),
    ],
)
def test_each_fault_lights_its_lamp_and_is_told(part, lamp, state, words):
    health = replace(HEALTHY, **part)
    assert {k: v for k, v in health.lamps.items() if v != "ok"} == {lamp: state}
    (sentence,) = health.alarms
    for word in words:
        assert word in sentence
    assert sentence in repr(health)
    assert state in health.table().text()


def test_names_that_people_typed_are_escaped():
    split = TrafficSplit(0.0, "<b>x</b>", 10.0, 90, "arm")
    assert "<b>x" not in replace(HEALTHY, traffic=split)._repr_html_()
