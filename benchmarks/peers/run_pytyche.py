"""A first round with pytyche 0.2.1, to run with its own interpreter: ``run_pytyche.py [visitors]``.

Its own simulated generator, its documented loop and its defaults (200 + 50 trees, 5 grow-from-root
sweeps, 200 + 200 iterations, one chain). Prints one line of JSON.
"""

import sys
import warnings
from importlib.metadata import version

from measure import Stopwatch, report

ARMS = ["control", "low_promo", "free_ship"]


def main(visitors: int) -> None:
    watch = Stopwatch()
    warnings.simplefilter("ignore")
    import pytyche as pt

    experiment = pt.sequential_experiment(
        generator=pt.simulated_experiment_generator(
            template="clustered_realistic",
            metric="revenue_per_visitor",
            effect_scale=0.1,
            K=3,
            seed=42,
            treatment_names=ARMS,
        ),
        schedule=pt.GeometricSchedule(initial=visitors),
        treatments=ARMS,
        seed=42,
    )
    watch.lap("import")
    done = next(experiment)
    watch.lap("round")
    truth = done.truth_comparison
    report(
        engine=f"pytyche {version('pytyche')}",
        visitors=visitors,
        cate_rmse=truth.cate_rmse,
        oracle_gap=truth.oracle_gap_rpv,
        **watch.seconds,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
