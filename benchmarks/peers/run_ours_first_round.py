"""A first round with our package: ``run_ours_first_round.py [visitors]``.

The population, loop and defaults that `run_pytyche` gives to its peer, ours in place of theirs.
Prints one line of JSON.
"""

import sys
import warnings

from measure import Stopwatch, report

ARMS = ["control", "low_promo", "free_ship"]


def main(visitors: int) -> None:
    watch = Stopwatch()
    warnings.simplefilter("ignore")
    import pytyche_lab as pt

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
        progress=False,
    )
    watch.lap("import")
    done = next(experiment)
    watch.lap("round")
    truth = done.truth_comparison
    report(
        engine="pytyche-lab",
        visitors=visitors,
        cate_rmse=truth.cate_rmse,
        oracle_gap=truth.oracle_gap,
        **watch.seconds,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
