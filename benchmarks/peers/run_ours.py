"""Our sampler on the tasks that peers are given: ``run_ours.py data.npz [options]``, see `task`.

One chain of the joint hurdle BCF, through the public calls. Compiled code comes from JAX's
persistent cache where an earlier process left it. Prints one line of JSON.
"""

import warnings

from measure import Stopwatch, accuracy, peak_mib, report
from task import FitSize, Trial, read_command_line

ARMS = ("control", "treatment")


def read(trial: Trial):
    """The trial as validated observations."""
    import pandas as pd

    from pytyche_engine.contracts.door import read_round
    from pytyche_engine.contracts.observations import ColumnMapping

    frame = pd.DataFrame(trial.X, columns=[f"x{j}" for j in range(trial.X.shape[1])])
    frame["arm"] = [ARMS[k] for k in trial.arm]
    frame["revenue"] = trial.revenue
    return read_round(frame, columns=ColumnMapping(visitor=None), arms=ARMS)


def settings_of(size: FitSize):
    from pytyche_engine.bcf import Settings

    return Settings(
        num_trees_mu=size.trees_mu,
        num_trees_tau=size.trees_tau // len(ARMS),
        num_chains=1,
        num_warm_up=size.warm_up,
        min_draws=size.draws,
        max_draws=size.draws,
        thin=size.thin,
    )


def main() -> None:
    task = read_command_line()
    trial = task.trial
    warnings.simplefilter("ignore")
    watch = Stopwatch()
    from pytyche_engine.bcf import fit

    observations = read(trial)
    watch.lap("import")
    posterior = fit(observations, settings=settings_of(task.size), seed=task.seed)
    watch.lap("fit")
    fit_peak_mib = peak_mib()
    cate = posterior.predict(observations.features).cate[:, 0]
    groups = trial.groups()
    names = tuple(map(str, range(groups.shape[1])))
    draws = posterior.group_draws(observations.features, groups, names).lift[:, :, 1]
    watch.lap("effects")
    report(
        engine="pytyche-lab",
        visitors=len(trial.arm),
        converters=int((trial.revenue > 0).sum()),
        size=vars(task.size),
        **watch.seconds,
        fit_peak_mib=fit_peak_mib,
        **accuracy(trial.cate, cate, groups, draws),
    )


if __name__ == "__main__":
    main()
