"""The engine's calibration, with the progress of sweeps shown where the user is."""

from typing import Any

from pytyche_engine import calibration as engine
from pytyche_engine.calibration import Applicability as Applicability
from pytyche_engine.calibration import CalibrationArtifact as CalibrationArtifact
from pytyche_engine.calibration import CalibrationError as CalibrationError
from pytyche_engine.calibration import CalibrationMismatchWarning as CalibrationMismatchWarning
from pytyche_engine.calibration import FailedFitsWarning as FailedFitsWarning
from pytyche_engine.calibration import Scenario as Scenario
from pytyche_engine.calibration import SweepDesign as SweepDesign
from pytyche_engine.calibration import SweepResult as SweepResult
from pytyche_engine.calibration import calibrate as calibrate
from pytyche_engine.calibration import load_shipped as load_shipped
from pytyche_engine.calibration import posterior_sbc as posterior_sbc
from pytyche_engine.calibration import prior_sbc_ranks as prior_sbc_ranks
from pytyche_engine.calibration import scorecard as scorecard
from pytyche_engine.calibration import shipped_names as shipped_names
from pytyche_engine.calibration import standard_scenarios as standard_scenarios
from pytyche_engine.calibration import start_sweep as start_sweep
from pytyche_lab.extends import extends
from pytyche_lab.progress import wait_for


@extends(engine.sweep)
def sweep(*args: Any, progress: bool | None = None, **settings: Any) -> SweepResult:
    """Sweep, with live progress.

    ``progress``: False shows nothing; None shows a widget in notebooks and a bar in terminals;
    True shows it everywhere. Everything else is the engine's:

    """
    return wait_for(engine.start_sweep(*args, **settings), progress)
