"""Reference cases that are looked at again and again, splits of traffic, and bandits."""

import numpy as np
from classic_cases import arms, normal, of, read, table

from pytyche_engine import classic
from pytyche_engine.classic.contrast import Contrast, welch
from pytyche_engine.classic.relative import (
    delta_contrast,
)
from pytyche_engine.classic.sequential import MixtureTest, always_valid_p, mixture_precision
from pytyche_engine.classic.srm import dirichlet_log_odds, share_intervals


@of("gb_sequential_proportion_relative_N5000")
def asymptotic_sequence(inputs: dict) -> dict:
    c, t = arms(inputs)
    found, n = delta_contrast(c, t), c.n + t.n
    visitors = inputs["sequential_tuning_parameter"]
    test = MixtureTest.tightest_at(visitors, found, n, inputs["alpha"])
    low, high = test.interval(found)
    log_lr = test.log_lr(found.estimate, found.std_error**2)
    return {
        **read(found),
        "ci_lower": low,
        "ci_upper": high,
        "p_value": float(always_valid_p(np.array([log_lr]))[0]),
        "rho": test.tau / (found.std_error * np.sqrt(n)),
    }


@of("gb_srm_5120_4880", "gb_srm_3300_3400_3050", "sc_srm_exact_small")
def srm(inputs: dict) -> dict:
    def named(values: list) -> dict:
        return {f"arm {i}": value for i, value in enumerate(values)}

    return {
        "p_value": classic.check_srm(named(inputs["observed"]), named(inputs["weights"])).p_value
    }


@of(
    "sp_gs_bounds_K3_rho1",
    "sp_gs_bounds_K3_rho3",
    "sp_gs_bounds_K5_rho2",
    "gs_exact_obrien_fleming",
    "gs_exact_kim_demets_rho2",
)
def group_sequential(inputs: dict) -> dict:
    spending = inputs.get(
        "rho", {"kim_demets_rho2": 2}.get(inputs.get("spending"), inputs.get("spending"))
    )
    design = classic.GroupSequentialDesign(
        tuple(inputs["information_fractions"]), inputs["alpha"], spending
    )
    return {"z_bounds": design.z_bounds}


@of("ssrm_balanced_batches", "ssrm_three_arm")
def sequential_srm(inputs: dict) -> dict:
    odds = dirichlet_log_odds(
        inputs["batches"], inputs["null_probabilities"], inputs["dirichlet_concentration"]
    )
    return {"p_values": always_valid_p(odds), "bayes_factors": np.exp(odds)}


@of("savvi_multinomial_srm")
def multinomial_srm(inputs: dict) -> dict:
    odds = dirichlet_log_odds(inputs["batches"], inputs["theta_0"], inputs["k"])
    total = np.sum(inputs["batches"], axis=0)
    return {
        "trace": [
            {"p": p, "odds": o} for p, o in zip(always_valid_p(odds), np.exp(odds), strict=True)
        ],
        "ci_theta": share_intervals(total, inputs["theta_0"], inputs["alpha"], inputs["k"]),
    }


@of("cs_normal_mixture_bound")
def normal_mixture(inputs: dict) -> dict:
    """The bound of a sum with variance v is that of a mean with variance 1 / v, times v."""
    v, alpha = np.array(inputs["v"]), inputs["alpha"]

    def test(error: float) -> MixtureTest:
        return MixtureTest(np.sqrt(mixture_precision(error) / inputs["v_opt"]), alpha)

    one_sided = test(2 * inputs["alpha_opt"])
    return {
        "two_sided": test(inputs["alpha_opt"]).half_width(1 / v) * v,
        "one_sided": [-x * one_sided.lower_limit(Contrast(0.0, np.sqrt(1 / x))) for x in v],
    }


@of("cs_bernoulli_interval")
def bernoulli(inputs: dict) -> dict:
    return {"intervals": [classic.rate_interval(*case) for case in inputs["cases"]]}


@of("msprt_normal_equal_n", "msprt_normal_reject")
def msprt_normal(inputs: dict) -> dict:
    n, s2 = inputs["n_per_arm"], inputs["sigma2"]
    contrast = Contrast(inputs["treatment_mean"] - inputs["control_mean"], np.sqrt(2 * s2 / n))
    return msprt(contrast, inputs)


@of("msprt_binomial_unequal_n", "msprt_binomial_tau_mde")
def msprt_binomial(inputs: dict) -> dict:
    return msprt(table(inputs).wald, inputs)


def msprt(contrast: Contrast, inputs: dict) -> dict:
    test = MixtureTest(np.sqrt(inputs["tau2"]), inputs["alpha"])
    watched = test.watch([contrast])
    return {
        "log_lr": watched.log_lr[0],
        "log_lr_quadrature": watched.log_lr[0],
        "p_value": watched.p_values[0],
        "reject": watched.decided_at is not None,
        "ci": watched.intervals[0],
        "threshold": test.threshold,
    }


@of("statsig_sequential_two_sided")
def statsig(inputs: dict) -> dict:
    """Our sequence at alpha / 2, and a normal p-value rescaled to it."""
    c, t = arms(inputs)
    contrast = normal(welch(c, t))
    z = contrast.critical(inputs["alpha"] / 2)
    tau2 = z**2 * (c.variance + t.variance) / (c.n + t.n)
    test = MixtureTest(np.sqrt(tau2), inputs["alpha"] / 2)
    z_star = float(test.half_width(contrast.std_error**2)) / contrast.std_error
    statistic = contrast.estimate / contrast.std_error
    return {
        "V": contrast.std_error**2,
        "tau": tau2,
        "z_star": z_star,
        "ci": test.interval(contrast),
        "z": statistic,
        "p_value": Contrast(statistic * z / z_star, 1.0).p_value(),
    }


@of("eppo_sequential_lift")
def eppo(inputs: dict) -> dict:
    """Our sequence with tau^2 = N SE^2 / rho."""
    c, t = arms(inputs)
    contrast, n, alpha = delta_contrast(c, t), c.n + t.n, 1 - inputs["confidence"]
    rho = inputs["N_tune"] / (np.log(np.log(np.e / alpha**2)) - 2 * np.log(alpha))
    test = MixtureTest(np.sqrt(n / rho) * contrast.std_error, alpha)
    half = float(test.half_width(contrast.std_error**2))
    return {
        "lift": contrast.estimate,
        "se": contrast.std_error,
        "rho": rho,
        "B": half / contrast.std_error,
        "ci": test.interval(contrast),
    }


@of("ts_beta_binomial_prob_best")
def thompson(inputs: dict) -> dict:
    found = classic.BetaArms.of(
        [a["successes"] for a in inputs["arms"]], [a["n"] for a in inputs["arms"]]
    )
    return {
        "alpha_beta": np.stack([found.alpha, found.beta], axis=1),
        "prob_best": found.probability_best(),
        "posterior_mean": found.means,
        "expected_loss": None,
    }


@of("bayes_beta_binomial_two_arm")
def two_beta_arms(inputs: dict) -> dict:
    both = inputs["control"], inputs["treatment"]
    found = classic.BetaArms.of([a["successes"] for a in both], [a["n"] for a in both])
    return {
        "prob_treatment_better": found.probability_best()[1],
        "expected_loss_choose_treatment": found.expected_loss()[1],
    }


@of("srm_time_weighted")
def srm_over_periods(inputs: dict) -> dict:
    names = ("control", "treatment")
    seen = [dict(zip(names, p["obs"], strict=True)) for p in inputs["periods"]]
    shares = [dict(zip(names, p["w"], strict=True)) for p in inputs["periods"]]
    expected = sum(np.array(p["w"]) * p["n"] for p in inputs["periods"])
    total = np.sum([p["obs"] for p in inputs["periods"]], axis=0)
    observed = dict(zip(names, map(int, total), strict=True))
    exact = classic.check_srm_periods(seen, shares)
    assert exact.worst in names
    assert exact.expected == expected[names.index(exact.worst)]
    z = Contrast(float(total[0] - expected[0]), 1.0)
    sd = np.sqrt(sum(p["n"] * p["w"][0] * p["w"][1] for p in inputs["periods"]))
    return {
        "expected": expected,
        "observed": total,
        # As if everyone had had the average shares, and as if everyone had had the latest.
        "chi2_p": classic.check_srm(observed, dict(zip(names, expected, strict=True))).p_value,
        "p_against_current_weights_only": classic.check_srm(observed, shares[-1]).p_value,
        "z_exact_variance": z.estimate / sd,
        "p_exact_variance": exact.p_value,
    }
