"""The sequential loop: one round after another."""

from pytyche_engine.experiment.analysis import RoundAnalysis as RoundAnalysis
from pytyche_engine.experiment.build import open_experiment as open_experiment
from pytyche_engine.experiment.build import sequential_experiment as sequential_experiment
from pytyche_engine.experiment.draft import PlanDraft as PlanDraft
from pytyche_engine.experiment.round import Round as Round
from pytyche_engine.experiment.sequential import SequentialExperiment as SequentialExperiment
