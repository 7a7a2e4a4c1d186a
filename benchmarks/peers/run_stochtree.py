"""The hurdle as two stochtree BCFs, to run with stochtree's own interpreter; see `task`.

A probit BCF on all visitors and a Gaussian one on the log revenue of converters, one chain each,
on stochtree's default of one thread. Both have as many trees and iterations as asked for and start
from stumps (no grow-from-root); priors are stochtree's own. ``--own-defaults`` leaves trees,
grow-from-root sweeps and iterations to stochtree as well. Prints one line of JSON.
"""

import warnings
from importlib.metadata import version

import numpy as np
from measure import Stopwatch, accuracy, peak_mib, report
from scipy.special import ndtr
from stochtree import BCFModel, OutcomeModel
from task import Task, read_command_line

ROWS_PER_BATCH = 5_000


def fit(task: Task, rows: np.ndarray, outcome: np.ndarray, model: OutcomeModel) -> BCFModel:
    """One BCF on ``outcome`` of the visitors ``rows``."""
    general: dict[str, object] = {"outcome_model": model, "random_seed": task.seed}
    options: dict[str, object] = {"general_params": general}
    if not task.own_defaults:
        size = task.size
        # The propensity is the same for everyone, which is no use to a tree.
        general |= {"propensity_covariate": "none", "keep_every": size.thin}
        options |= {
            "num_gfr": 0,
            "num_burnin": size.warm_up,
            "num_mcmc": size.draws,
            "prognostic_forest_params": {"num_trees": size.trees_mu},
            "treatment_effect_forest_params": {"num_trees": size.trees_tau},
        }
    bcf = BCFModel()
    bcf.sample(
        X_train=task.trial.X[rows],
        Z_train=task.trial.arm[rows].astype(float),
        y_train=outcome.astype(float),
        propensity_train=np.full(len(outcome), 0.5),
        **options,
    )
    return bcf


def rpv_effects(
    features: np.ndarray, groups: np.ndarray, conversion: BCFModel, severity: BCFModel
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) posterior mean CATEs and (S, G) draws of group means, for features (n, p).

    ``groups`` (n, G) are the visitors' weights in the means.
    RPV is Phi(conversion) exp(severity + sigma^2 / 2), draw by draw.
    """
    half_sigma2 = severity.global_var_samples / 2
    cate = np.empty(len(features))
    total = np.zeros((len(half_sigma2), groups.shape[1]))
    for start in range(0, len(features), ROWS_PER_BATCH):
        rows = slice(start, start + ROWS_PER_BATCH)
        X = features[rows]
        of_severity = severity.predict(X, np.ones(len(X)), np.full(len(X), 0.5))
        mu, tau = conversion.mu_hat_train[rows], conversion.tau_hat_train[rows]
        log_order = of_severity["mu_hat"] + half_sigma2
        lift = ndtr(mu + tau) * np.exp(log_order + of_severity["tau_hat"])
        lift -= ndtr(mu) * np.exp(log_order)
        cate[rows] = lift.mean(axis=1)
        total += lift.T @ groups[rows]
    return cate, total


def main() -> None:
    task = read_command_line()
    trial = task.trial
    # It says that a probit model has no error variance to sample.
    warnings.filterwarnings("ignore", message="Global error variance will not be sampled")
    watch = Stopwatch()
    everyone = np.arange(len(trial.arm))
    converters = np.flatnonzero(trial.revenue > 0)
    conversion = fit(
        task, everyone, trial.revenue > 0, OutcomeModel(outcome="binary", link="probit")
    )
    watch.lap("fit_conversion")
    severity = fit(
        task,
        converters,
        np.log(trial.revenue[converters]),
        OutcomeModel(outcome="continuous", link="identity"),
    )
    watch.lap("fit_severity")
    fit_peak_mib = peak_mib()
    groups = trial.groups()
    cate, draws = rpv_effects(trial.X, groups, conversion, severity)
    watch.lap("effects")
    seconds = watch.seconds
    report(
        engine=f"stochtree {version('stochtree')}",
        visitors=len(trial.arm),
        converters=len(converters),
        size="its own defaults" if task.own_defaults else vars(task.size),
        fit_seconds=seconds["fit_conversion_seconds"] + seconds["fit_severity_seconds"],
        fit_cpu_seconds=seconds["fit_conversion_cpu_seconds"] + seconds["fit_severity_cpu_seconds"],
        **seconds,
        fit_peak_mib=fit_peak_mib,
        **accuracy(trial.cate, cate, groups, draws),
    )


if __name__ == "__main__":
    main()
