"""Where a round's data come from: simulated templates and replay of a logged experiment."""

from pytyche_engine.sources.replay import ReplaySource as ReplaySource
from pytyche_engine.sources.replay import replay as replay
from pytyche_engine.sources.simulated import SimulatedSource as SimulatedSource
from pytyche_engine.sources.simulated import (
    simulated_experiment_generator as simulated_experiment_generator,
)
from pytyche_engine.sources.source import Source as Source
