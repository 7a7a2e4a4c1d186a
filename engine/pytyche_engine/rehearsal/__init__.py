"""Whole experiments against simulated sources, before real visitors are spent."""

from pytyche_engine.rehearsal.power import PowerAnswer as PowerAnswer
from pytyche_engine.rehearsal.power import n_for_power as n_for_power
from pytyche_engine.rehearsal.rehearse import Rehearsal as Rehearsal
from pytyche_engine.rehearsal.rehearse import rehearse as rehearse
from pytyche_engine.rehearsal.rehearse import start_rehearsal as start_rehearsal
