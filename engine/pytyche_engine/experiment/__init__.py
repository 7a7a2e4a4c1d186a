"""The sequential loop: one round after another."""

from pytyche_engine.experiment.round import Round as Round
from pytyche_engine.experiment.round import RoundAnalysis as RoundAnalysis
