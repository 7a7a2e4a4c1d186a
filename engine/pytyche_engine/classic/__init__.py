"""Classical A/B analysis: setup, metrics, tests, intervals, sequential tests, SRM, power."""

from pytyche_engine.classic.aa import AACheck as AACheck
from pytyche_engine.classic.aa import aa_check as aa_check
from pytyche_engine.classic.balance import CovariateBalanceChecker as CovariateBalanceChecker
from pytyche_engine.classic.bandit import AipwPath as AipwPath
from pytyche_engine.classic.bandit import Periods as Periods
from pytyche_engine.classic.bandit import aipw_path as aipw_path
from pytyche_engine.classic.bandit import stratified_contrast as stratified_contrast
from pytyche_engine.classic.checkpoints import CheckpointColumns as CheckpointColumns
from pytyche_engine.classic.checkpoints import CheckpointReport as CheckpointReport
from pytyche_engine.classic.checkpoints import analyze_checkpoints as analyze_checkpoints
from pytyche_engine.classic.contrast import ArmEstimate as ArmEstimate
from pytyche_engine.classic.contrast import Contrast as Contrast
from pytyche_engine.classic.contrast import welch as welch
from pytyche_engine.classic.experiment import Experiment as Experiment
from pytyche_engine.classic.experiment import ExperimentState as ExperimentState
from pytyche_engine.classic.group_sequential import (
    GroupSequentialDesign as GroupSequentialDesign,
)
from pytyche_engine.classic.metrics import MeanMetric as MeanMetric
from pytyche_engine.classic.metrics import ProportionMetric as ProportionMetric
from pytyche_engine.classic.metrics import RatioMetric as RatioMetric
from pytyche_engine.classic.metrics import RevenueMetric as RevenueMetric
from pytyche_engine.classic.moments import Moments as Moments
from pytyche_engine.classic.normal_prior import NormalPosterior as NormalPosterior
from pytyche_engine.classic.power import PowerPlan as PowerPlan
from pytyche_engine.classic.power import detectable_rise as detectable_rise
from pytyche_engine.classic.power import duration_days as duration_days
from pytyche_engine.classic.power import plan_means as plan_means
from pytyche_engine.classic.power import plan_rates as plan_rates
from pytyche_engine.classic.power import visitors_still_needed as visitors_still_needed
from pytyche_engine.classic.proportions import TwoProportions as TwoProportions
from pytyche_engine.classic.ranks import compare_ranks as compare_ranks
from pytyche_engine.classic.result import AnalysisResult as AnalysisResult
from pytyche_engine.classic.run import run_all_arms as run_all_arms
from pytyche_engine.classic.run import run_analysis as run_analysis
from pytyche_engine.classic.sequential import MixtureTest as MixtureTest
from pytyche_engine.classic.sequential import Watched as Watched
from pytyche_engine.classic.sequential import rate_interval as rate_interval
from pytyche_engine.classic.setup import setup as setup
from pytyche_engine.classic.setup import setup_counts as setup_counts
from pytyche_engine.classic.setup import setup_moments as setup_moments
from pytyche_engine.classic.srm import check_srm as check_srm
from pytyche_engine.classic.srm import check_srm_periods as check_srm_periods
from pytyche_engine.classic.srm import sequential_srm as sequential_srm
from pytyche_engine.classic.thompson import BetaArms as BetaArms
from pytyche_engine.classic.thompson import thompson_shares as thompson_shares
from pytyche_engine.contracts.errors import PhaseOrderError as PhaseOrderError
