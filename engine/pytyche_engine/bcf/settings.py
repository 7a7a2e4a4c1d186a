"""How the sampler is set up."""

from dataclasses import dataclass

from pytyche_engine.contracts.errors import DesignError
from pytyche_engine.contracts.given import LARGEST_COUNT, count, number

MOST = 1_000_000
"""Of trees, chains, iterations or draws; more is a typing error."""


@dataclass(frozen=True)
class Settings:
    """Sampler settings. Scales are on the latent scale of each channel.

    The latent unit is one probit unit for conversion and one standard deviation of
    converters' log revenue for severity.

    Attributes:
        num_trees_mu: trees of the prognostic forest.
        num_trees_tau: trees of each arm's deviation forest.
        num_chains: independent chains, one thread each.
        num_warm_up: iterations dropped at the start of a chain that starts cold.
        num_warm_up_warm: the same for a chain that starts from an earlier fit.
        min_draws: draws kept from each chain before the fit may end.
        max_draws: draws kept from each chain after which it ends, converged or not.
        thin: iterations between kept draws.
        arm_scale: scale of the prior of the arm effects t[a]; t ~ N(0, s^2) with
            s^2 ~ scaled-inv-chi2(arm_scale_df, arm_scale^2).
        arm_scale_df: its degrees of freedom.
        mu_scale: scale of the t prior of the mu forest's multiplier.
        tau_scale: scale of the t prior of each tau forest's multiplier; its absolute value is
            the sd of the arm's deviations, so that constant effects collapse and strong
            heterogeneity is not shrunk away.
        loading_scale: scale of the spread of the arms' multipliers of mu around their common
            one; zero would forbid effects that grow with what mu says of a visitor.
        multiplier_df: degrees of freedom of these three priors; 1 makes them half-Cauchy.
        mu_split, tau_split: (alpha, beta) of P(split at depth d) = alpha (1 + d)^-beta.
        max_depth: levels of a tree, root included.
        min_leaf: fewest visitors in a leaf.
        num_cuts: most cut points of a numeric feature.
        sigma_df, sigma_scale: sigma^2 ~ scaled-inv-chi2(sigma_df, sigma_scale), in units of
            the variance of converters' log revenue.
    """

    num_trees_mu: int = 100
    num_trees_tau: int = 25
    num_chains: int = 2
    num_warm_up: int = 400
    num_warm_up_warm: int = 150
    min_draws: int = 150
    max_draws: int = 450
    thin: int = 4
    arm_scale: float = 0.15
    arm_scale_df: float = 4.0
    mu_scale: float = 0.1
    tau_scale: float = 0.05
    loading_scale: float = 0.05
    multiplier_df: float = 1.0
    mu_split: tuple[float, float] = (0.95, 2.0)
    tau_split: tuple[float, float] = (0.5, 2.0)
    max_depth: int = 6
    min_leaf: int = 5
    num_cuts: int = 100
    sigma_df: float = 3.0
    sigma_scale: float = 0.8

    def __post_init__(self) -> None:
        whole = {
            "num_trees_mu": (1, MOST),
            "num_trees_tau": (1, MOST),
            "num_chains": (1, MOST),
            "num_warm_up": (0, MOST),
            "num_warm_up_warm": (0, MOST),
            "min_draws": (1, MOST),
            "max_draws": (self.min_draws, MOST),
            "thin": (1, MOST),
            "max_depth": (2, 8),
            "min_leaf": (1, LARGEST_COUNT),
            "num_cuts": (1, 254),
        }
        for name, (least, most) in whole.items():
            value = count(f"The sampler setting '{name}'", getattr(self, name), least, most)
            object.__setattr__(self, name, value)
        for name in ("arm_scale_df", "multiplier_df", "sigma_df"):
            if number(f"The sampler setting '{name}'", getattr(self, name)) < 1:
                raise DesignError(
                    f"The sampler setting '{name}' is {getattr(self, name)}; use degrees of "
                    "freedom of at least 1."
                )
        for name in ("arm_scale", "mu_scale", "tau_scale", "loading_scale", "sigma_scale"):
            if number(f"The sampler setting '{name}'", getattr(self, name)) < 0:
                raise DesignError(
                    f"The sampler setting '{name}' is {getattr(self, name)}; a scale is at least 0."
                )
