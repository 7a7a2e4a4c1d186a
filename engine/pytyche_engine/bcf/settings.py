"""How the sampler is set up."""

from dataclasses import dataclass

from pytyche_engine.contracts.errors import DesignError


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
        for name in (
            "num_trees_mu",
            "num_trees_tau",
            "num_chains",
            "min_draws",
            "thin",
            "min_leaf",
            "num_cuts",
        ):
            if getattr(self, name) < 1:
                raise DesignError(f"The sampler setting '{name}' must be at least 1.")
        for name in ("num_warm_up", "num_warm_up_warm"):
            if getattr(self, name) < 0:
                raise DesignError(f"The sampler setting '{name}' must not be negative.")
        if self.max_draws < self.min_draws:
            raise DesignError("The sampler setting 'max_draws' must not be below 'min_draws'.")
        if self.multiplier_df < 1:
            raise DesignError("The sampler setting 'multiplier_df' must be at least 1.")
        if not 2 <= self.max_depth <= 8:
            raise DesignError("The sampler setting 'max_depth' must be 2 to 8.")
        if not self.num_cuts < 255:
            raise DesignError("The sampler setting 'num_cuts' must be below 255.")
