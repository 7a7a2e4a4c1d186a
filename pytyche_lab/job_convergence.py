"""What a finished job's last numbers are worth."""

from typing import Any

from pytyche_engine.contracts.convergence import Convergence
from pytyche_engine.experiment.round import Round
from pytyche_engine.jobs import Job, JobState


def is_unconverged(job: Job[Any]) -> bool:
    """Whether a job has ended well with numbers that do not meet the limits of convergence.

    A round says so itself; of any other result the lifts that were last shown decide.
    """
    if job.state is not JobState.DONE:
        return False
    result = job.result()
    if isinstance(result, Round):
        return not result.analysis.converged
    shown = job.latest.interim if job.latest else ()
    return not Convergence(
        r_hat={lift.treatment: lift.r_hat for lift in shown},
        ess={lift.treatment: lift.ess for lift in shown},
    ).ok
