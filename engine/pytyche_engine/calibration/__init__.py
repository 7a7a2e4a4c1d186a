"""Checks that the sampler is exact and that its intervals are honest.

Three questions, three names: `prior_sbc_ranks` asks whether the sampler draws from the posterior
of its own model, `sweep` how often reported intervals hold the truth in scenarios that are not
the model's (scenario coverage), and `posterior_sbc` whether the next round of this very
experiment would be calibrated.
"""

from pytyche_engine.calibration.artifact import CalibrationArtifact as CalibrationArtifact
from pytyche_engine.calibration.artifact import calibrate as calibrate
from pytyche_engine.calibration.artifact import choose as choose
from pytyche_engine.calibration.design import Scenario as Scenario
from pytyche_engine.calibration.design import SweepDesign as SweepDesign
from pytyche_engine.calibration.design import standard_scenarios as standard_scenarios
from pytyche_engine.calibration.ecdf import ecdf_band as ecdf_band
from pytyche_engine.calibration.ecdf import ecdf_band_level as ecdf_band_level
from pytyche_engine.calibration.errors import CalibrationError as CalibrationError
from pytyche_engine.calibration.errors import (
    CalibrationMismatchWarning as CalibrationMismatchWarning,
)
from pytyche_engine.calibration.errors import FailedFitsWarning as FailedFitsWarning
from pytyche_engine.calibration.posterior_sbc import PosteriorSbc as PosteriorSbc
from pytyche_engine.calibration.posterior_sbc import posterior_sbc as posterior_sbc
from pytyche_engine.calibration.prior_sbc import prior_sbc_ranks as prior_sbc_ranks
from pytyche_engine.calibration.scope import Applicability as Applicability
from pytyche_engine.calibration.scope import Scope as Scope
from pytyche_engine.calibration.scope import scope_of as scope_of
from pytyche_engine.calibration.scorecard import scorecard as scorecard
from pytyche_engine.calibration.shipped import Calibration as Calibration
from pytyche_engine.calibration.shipped import load_shipped as load_shipped
from pytyche_engine.calibration.shipped import resolve as resolve
from pytyche_engine.calibration.shipped import shipped_names as shipped_names
from pytyche_engine.calibration.sweep import SweepResult as SweepResult
from pytyche_engine.calibration.sweep import start_sweep as start_sweep
from pytyche_engine.calibration.sweep import sweep as sweep
