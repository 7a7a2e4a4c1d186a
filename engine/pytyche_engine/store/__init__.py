"""Experiments on disk."""

from pytyche_engine.store.folder import ExperimentFolder as ExperimentFolder
