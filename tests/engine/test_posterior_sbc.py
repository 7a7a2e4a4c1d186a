import numpy as np
import pytest
from experiment_cases import SETTINGS, finished

from pytyche_engine.calibration import posterior_sbc
from pytyche_engine.calibration.posterior_sbc import rank_one, simulate_next
from pytyche_engine.contracts import DesignError
from pytyche_engine.jobs import Control


@pytest.fixture(scope="module")
def fitted():
    """A first round of 32 visitors; refits of 64 share its compiled shape."""
    done = finished().history[0]
    return done.observations, done.posterior


def test_a_simulated_next_round_has_the_draw_as_its_truth(fitted):
    seen, posterior = fitted
    draw, n = 7, 60_000
    later = simulate_next(posterior, seen, draw, n, np.random.default_rng(0))
    assert set(later.round_index) == {1}
    assert len(set(later.visitor_id)) == n
    np.testing.assert_allclose(np.bincount(later.arm) / n, later.propensity.mean(axis=0), atol=0.01)
    # Everyone's means under that draw, by the code that rounds use.
    everyone = posterior.effects(later.features, propensity=later.propensity)
    for k in range(3):
        mine = later.arm == k
        money = later.revenue[mine]
        assert money.mean() == pytest.approx(
            everyone.rpv[draw, 0, k], abs=4 * money.std() / np.sqrt(mine.sum())
        )
        rate = everyone.conversion[draw, 0, k]
        assert later.converted[mine].mean() == pytest.approx(rate, abs=0.02)


def test_ranks_come_from_refits_of_everything_and_repeat(fitted):
    seen, posterior = fitted
    one = rank_one(posterior, seen, 3, 32, SETTINGS, 5)
    assert one == rank_one(posterior, seen, 3, 32, SETTINGS, 5)
    assert one["n_draws"] == 60  # two chains of thirty draws
    assert 0 <= one["low_promo"] <= 60


def test_posterior_sbc_on_a_cluster(fitted):
    from distributed import Client, LocalCluster

    seen, posterior = fitted
    here = "127.0.0.1:0"
    cluster = LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        dashboard_address=here,
        worker_dashboard_address=here,
    )
    events = []
    with cluster, Client(cluster) as client:
        found = posterior_sbc(
            posterior,
            seen,
            3,
            n_visitors=32,
            seed=5,
            cluster=client,
            control=Control(events.append),
        )
    assert found.ranks["sim"].tolist() == [0, 1, 2]
    assert found.n_draws == 60
    assert 0 <= found.p_values["low_promo"] <= 1
    assert "3 simulated next rounds" in repr(found)
    assert (events[-1].iteration, events[-1].n_visitors) == (3, 64)
    with pytest.raises(DesignError, match="'n_sims' is 0; use a whole number from 1"):
        posterior_sbc(posterior, seen, 0)
