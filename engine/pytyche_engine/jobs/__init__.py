"""Background jobs: events, pause, cancel."""

from pytyche_engine.jobs.control import Control as Control
from pytyche_engine.jobs.events import ROUND_STAGES as ROUND_STAGES
from pytyche_engine.jobs.events import FitEvent as FitEvent
from pytyche_engine.jobs.events import InterimLift as InterimLift
from pytyche_engine.jobs.events import JobState as JobState
from pytyche_engine.jobs.events import Stage as Stage
from pytyche_engine.jobs.job import Job as Job
