"""Checks that the sampler is exact and that its intervals are honest."""

from pytyche_engine.calibration.prior_sbc import ecdf_band_level as ecdf_band_level
from pytyche_engine.calibration.prior_sbc import prior_sbc_ranks as prior_sbc_ranks
