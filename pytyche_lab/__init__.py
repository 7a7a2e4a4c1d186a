"""pytyche-lab: multi-round A/B/n experiments on money outcomes, from a notebook.

``import pytyche_lab as pt`` loads names on first use, so it is quick and does not import JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytyche_engine import contracts as contracts
    from pytyche_engine import sources as sources
    from pytyche_engine.allocation import ExplicitSchedule as ExplicitSchedule
    from pytyche_engine.allocation import FixedSchedule as FixedSchedule
    from pytyche_engine.allocation import GeometricSchedule as GeometricSchedule
    from pytyche_engine.bcf import Posterior as Posterior
    from pytyche_engine.bcf import Settings as Settings
    from pytyche_engine.bcf import fit as fit
    from pytyche_engine.contracts import BaselinePolicy as BaselinePolicy
    from pytyche_engine.contracts import Cell as Cell
    from pytyche_engine.contracts import ClaimError as ClaimError
    from pytyche_engine.contracts import ClaimLevel as ClaimLevel
    from pytyche_engine.contracts import ColumnMapping as ColumnMapping
    from pytyche_engine.contracts import DataError as DataError
    from pytyche_engine.contracts import DataNotice as DataNotice
    from pytyche_engine.contracts import DecisionThresholds as DecisionThresholds
    from pytyche_engine.contracts import DesignError as DesignError
    from pytyche_engine.contracts import FitCancelled as FitCancelled
    from pytyche_engine.contracts import FitError as FitError
    from pytyche_engine.contracts import Levels as Levels
    from pytyche_engine.contracts import MixPolicy as MixPolicy
    from pytyche_engine.contracts import Money as Money
    from pytyche_engine.contracts import PytycheError as PytycheError
    from pytyche_engine.contracts import PytycheWarning as PytycheWarning
    from pytyche_engine.contracts import Rule as Rule
    from pytyche_engine.contracts import SlowFitWarning as SlowFitWarning
    from pytyche_engine.contracts import StoreError as StoreError
    from pytyche_engine.contracts import Threshold as Threshold
    from pytyche_engine.contracts import TreePolicy as TreePolicy
    from pytyche_engine.contracts import TruthError as TruthError
    from pytyche_engine.contracts import UncalibratedWarning as UncalibratedWarning
    from pytyche_engine.contracts import UnconvergedWarning as UnconvergedWarning
    from pytyche_engine.contracts import UniformPolicy as UniformPolicy
    from pytyche_engine.contracts import UnknownExperimentError as UnknownExperimentError
    from pytyche_engine.contracts import WrongStateError as WrongStateError
    from pytyche_engine.contracts import hypothesis_cell as hypothesis_cell
    from pytyche_engine.contracts.door import read_round as read_round
    from pytyche_engine.decisions import ExpectedLossRule as ExpectedLossRule
    from pytyche_engine.rehearsal import n_for_power as n_for_power
    from pytyche_engine.sources import replay as replay
    from pytyche_engine.sources import (
        simulated_experiment_generator as simulated_experiment_generator,
    )
    from pytyche_lab import calibration as calibration
    from pytyche_lab import viz as viz
    from pytyche_lab.calibration import CalibrationArtifact as CalibrationArtifact
    from pytyche_lab.calibration import CalibrationError as CalibrationError
    from pytyche_lab.calibration import CalibrationMismatchWarning as CalibrationMismatchWarning
    from pytyche_lab.calibration import FailedFitsWarning as FailedFitsWarning
    from pytyche_lab.calibration import Scenario as Scenario
    from pytyche_lab.calibration import SweepDesign as SweepDesign
    from pytyche_lab.calibration import calibrate as calibrate
    from pytyche_lab.calibration import sweep as sweep
    from pytyche_lab.classic import AACheck as AACheck
    from pytyche_lab.classic import AipwPath as AipwPath
    from pytyche_lab.classic import AnalysisResult as AnalysisResult
    from pytyche_lab.classic import ArmEstimate as ArmEstimate
    from pytyche_lab.classic import BetaArms as BetaArms
    from pytyche_lab.classic import CheckpointColumns as CheckpointColumns
    from pytyche_lab.classic import CheckpointReport as CheckpointReport
    from pytyche_lab.classic import Contrast as Contrast
    from pytyche_lab.classic import CovariateBalanceChecker as CovariateBalanceChecker
    from pytyche_lab.classic import Experiment as Experiment
    from pytyche_lab.classic import ExperimentState as ExperimentState
    from pytyche_lab.classic import GroupSequentialDesign as GroupSequentialDesign
    from pytyche_lab.classic import MeanMetric as MeanMetric
    from pytyche_lab.classic import MixtureTest as MixtureTest
    from pytyche_lab.classic import Moments as Moments
    from pytyche_lab.classic import NormalPosterior as NormalPosterior
    from pytyche_lab.classic import Periods as Periods
    from pytyche_lab.classic import PhaseOrderError as PhaseOrderError
    from pytyche_lab.classic import PowerPlan as PowerPlan
    from pytyche_lab.classic import ProportionMetric as ProportionMetric
    from pytyche_lab.classic import RatioMetric as RatioMetric
    from pytyche_lab.classic import RevenueMetric as RevenueMetric
    from pytyche_lab.classic import TwoProportions as TwoProportions
    from pytyche_lab.classic import Watched as Watched
    from pytyche_lab.classic import aa_check as aa_check
    from pytyche_lab.classic import aipw_path as aipw_path
    from pytyche_lab.classic import analyze_checkpoints as analyze_checkpoints
    from pytyche_lab.classic import check_srm as check_srm
    from pytyche_lab.classic import check_srm_periods as check_srm_periods
    from pytyche_lab.classic import compare_ranks as compare_ranks
    from pytyche_lab.classic import detectable_rise as detectable_rise
    from pytyche_lab.classic import duration_days as duration_days
    from pytyche_lab.classic import plan_means as plan_means
    from pytyche_lab.classic import plan_rates as plan_rates
    from pytyche_lab.classic import rate_interval as rate_interval
    from pytyche_lab.classic import run_all_arms as run_all_arms
    from pytyche_lab.classic import run_analysis as run_analysis
    from pytyche_lab.classic import sequential_srm as sequential_srm
    from pytyche_lab.classic import setup as setup
    from pytyche_lab.classic import setup_counts as setup_counts
    from pytyche_lab.classic import setup_moments as setup_moments
    from pytyche_lab.classic import stratified_contrast as stratified_contrast
    from pytyche_lab.classic import thompson_shares as thompson_shares
    from pytyche_lab.classic import visitors_still_needed as visitors_still_needed
    from pytyche_lab.classic import welch as welch
    from pytyche_lab.client import Client as Client
    from pytyche_lab.client import LocalClient as LocalClient
    from pytyche_lab.client import ServerError as ServerError
    from pytyche_lab.experiments import open as open  # noqa: A004 - it is called as pt.open
    from pytyche_lab.experiments import open_experiment as open_experiment
    from pytyche_lab.experiments import sequential_experiment as sequential_experiment
    from pytyche_lab.extension import load_ipython_extension as load_ipython_extension
    from pytyche_lab.extension import unload_ipython_extension as unload_ipython_extension
    from pytyche_lab.registry import console as console
    from pytyche_lab.rehearsal import rehearse as rehearse
    from pytyche_lab.setup_check import check_setup as check_setup
    from pytyche_lab.widgets import CellPlan as CellPlan
    from pytyche_lab.widgets import RoundDashboard as RoundDashboard
    from pytyche_lab.widgets import SegmentChart as SegmentChart
    from pytyche_lab.widgets import SegmentTree as SegmentTree

_HOMES = {
    "pytyche_engine.allocation": ("ExplicitSchedule", "FixedSchedule", "GeometricSchedule"),
    "pytyche_engine.bcf": ("Posterior", "Settings", "fit"),
    "pytyche_engine.contracts": (
        "BaselinePolicy",
        "Cell",
        "ClaimError",
        "ClaimLevel",
        "ColumnMapping",
        "DataError",
        "DataNotice",
        "DecisionThresholds",
        "DesignError",
        "FitCancelled",
        "FitError",
        "Levels",
        "MixPolicy",
        "Money",
        "PytycheError",
        "PytycheWarning",
        "Rule",
        "SlowFitWarning",
        "StoreError",
        "Threshold",
        "TreePolicy",
        "TruthError",
        "UncalibratedWarning",
        "UnconvergedWarning",
        "UniformPolicy",
        "UnknownExperimentError",
        "WrongStateError",
        "hypothesis_cell",
    ),
    "pytyche_engine.contracts.door": ("read_round",),
    "pytyche_engine.decisions": ("ExpectedLossRule",),
    "pytyche_engine.rehearsal": ("n_for_power",),
    "pytyche_engine.sources": ("replay", "simulated_experiment_generator"),
    "pytyche_lab.calibration": (
        "CalibrationArtifact",
        "CalibrationError",
        "CalibrationMismatchWarning",
        "FailedFitsWarning",
        "Scenario",
        "SweepDesign",
        "calibrate",
        "sweep",
    ),
    "pytyche_lab.classic": (
        "AACheck",
        "AipwPath",
        "AnalysisResult",
        "ArmEstimate",
        "BetaArms",
        "CheckpointColumns",
        "CheckpointReport",
        "Contrast",
        "CovariateBalanceChecker",
        "Experiment",
        "ExperimentState",
        "GroupSequentialDesign",
        "MeanMetric",
        "MixtureTest",
        "Moments",
        "NormalPosterior",
        "Periods",
        "PhaseOrderError",
        "PowerPlan",
        "ProportionMetric",
        "RatioMetric",
        "RevenueMetric",
        "TwoProportions",
        "Watched",
        "aa_check",
        "aipw_path",
        "analyze_checkpoints",
        "check_srm",
        "check_srm_periods",
        "compare_ranks",
        "detectable_rise",
        "duration_days",
        "plan_means",
        "plan_rates",
        "rate_interval",
        "run_all_arms",
        "run_analysis",
        "sequential_srm",
        "setup",
        "setup_counts",
        "setup_moments",
        "stratified_contrast",
        "thompson_shares",
        "visitors_still_needed",
        "welch",
    ),
    "pytyche_lab.client": ("Client", "LocalClient", "ServerError"),
    "pytyche_lab.experiments": ("open", "open_experiment", "sequential_experiment"),
    "pytyche_lab.extension": ("load_ipython_extension", "unload_ipython_extension"),
    "pytyche_lab.rehearsal": ("rehearse",),
    "pytyche_lab.registry": ("console",),
    "pytyche_lab.setup_check": ("check_setup",),
    "pytyche_lab.widgets": ("CellPlan", "RoundDashboard", "SegmentChart", "SegmentTree"),
}
_MODULES = {
    "calibration": "pytyche_lab.calibration",
    "contracts": "pytyche_engine.contracts",
    "sources": "pytyche_engine.sources",
    "viz": "pytyche_lab.viz",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME_OF, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = import_module(_MODULES[name])
    elif name in _HOME_OF:
        value = getattr(import_module(_HOME_OF[name]), name)
    else:
        raise AttributeError(f"module 'pytyche_lab' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
