"""Arms that Optimized leaves out, by evidence and by the operator."""

from dataclasses import replace

import pytest
from experiment_cases import ARMS, experiment, quietly

from pytyche_engine.allocation import ArmEvidence
from pytyche_engine.contracts import DesignError
from pytyche_engine.experiment import open_experiment
from pytyche_engine.experiment.next_arms import arm_evidence, by_evidence


def optimized_shares(plan):
    cell = next(c for c in plan.cells if c.role == "optimized")
    return [route.shares for route in cell.policy.routes]


def test_a_dropped_arm_has_no_share_in_optimized_until_it_is_revived(tmp_path):
    exp = experiment(path=tmp_path / "promo")
    quietly(next, exp)
    served = exp.plan
    exp.arms.drop("free_ship", "out of stock until May")
    assert [s["free_ship"] for s in optimized_shares(exp.plan)] == [0] * len(
        optimized_shares(exp.plan)
    )
    assert exp.plan == exp.next_recommendation
    explore = next(c for c in exp.plan.cells if c.id == "explore")
    assert explore.policy.named_arms == set(ARMS)
    assert "out of stock until May" in repr(exp.arms)

    again = open_experiment(tmp_path / "promo")
    assert again.plan == exp.plan
    assert repr(again.arms) == repr(exp.arms)

    exp.arms.revive("free_ship", "back in stock")
    assert exp.plan == served
    quietly(next, exp)
    assert exp.arms.dropped == ()


def test_a_dropped_arm_stays_out_over_rounds_and_an_accepted_plan_stays_as_it_is():
    exp = experiment()
    quietly(next, exp)
    weights = (0.2, 0.2, 0.6)
    own = [replace(c, weight=w) for c, w in zip(exp.plan.cells, weights, strict=True)]
    changed = exp.accept(own)
    exp.arms.drop("free_ship", "too dear")
    assert exp.plan == changed
    second = quietly(next, exp)
    assert [d.arm for d in second.dropped] == ["free_ship"]
    assert all(s["free_ship"] == 0 for s in optimized_shares(second.next_recommendation))


def test_what_cannot_be_dropped_or_revived_is_refused():
    exp = experiment()
    with pytest.raises(DesignError, match="No round is finished"):
        exp.arms.drop("free_ship", "x")
    quietly(next, exp)
    with pytest.raises(DesignError, match="control"):
        exp.arms.drop("control", "x")
    with pytest.raises(DesignError, match="needs a reason"):
        exp.arms.drop("free_ship", "  ")
    with pytest.raises(DesignError, match="not dropped"):
        exp.arms.revive("free_ship", "x")
    exp.arms.drop("free_ship", "x")
    with pytest.raises(DesignError, match="dropped already"):
        exp.arms.drop("free_ship", "x")
    with pytest.raises(DesignError, match="two arms"):
        exp.arms.drop("low_promo", "x")


def test_evidence_of_forgotten_rounds_drops_no_arm():
    exp = experiment()
    first = quietly(next, exp)
    hopeless = dict(zip(ARMS, (0.499, 0.5, 0.001), strict=True))
    everyone = replace(first.analysis.everyone, arm_best_probabilities=hopeless)
    search = replace(first.analysis.search, segments=(everyone,), targeting_pays=False)
    analysis = replace(first.analysis, everyone=everyone, search=search, converged=True)
    before = replace(first, analysis=analysis)
    latest = ArmEvidence(1, hopeless)
    assert [d.arm for d in by_evidence(latest, [before], 0, "$")[0]] == ["free_ship"]
    assert by_evidence(latest, [before], 1, "$") == ((), ())
    # Nor do rounds whose chains do not agree.
    assert by_evidence(None, [before], 0, "$") == ((), ())
    loose = replace(before, analysis=replace(analysis, converged=False))
    assert by_evidence(latest, [loose], 0, "$") == ((), ())
    assert arm_evidence(0, analysis).everyone == hopeless
