"""Many fits in one kernel: none is stuck, no thread and no memory stays behind.

``PYTYCHE_STRESS`` is how many fits (5).
"""

import os
import threading

import pytest
from experiment_cases import digest, experiment, finished, quietly
from stress import LONG, ours, stress

N = int(os.environ.get("PYTYCHE_STRESS", "5"))
ONE_FIT = 300 * 2**20
"""More than a fit of this size takes, compiled code included."""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads /proc")
def test_fits_that_are_paused_and_cancelled_leave_nothing_behind():
    found = stress(N)
    print(found)
    assert found.stuck == 0
    assert found.cancelled + found.finished == N
    assert found.threads_left == 0
    assert not ours()
    assert found.after - found.before < ONE_FIT


def test_two_experiments_at_once_both_finish_as_they_would_alone():
    both = [experiment(), experiment()]
    jobs = [quietly(exp.start) for exp in both]
    for exp, job in zip(both, jobs, strict=True):
        assert digest(job.result()) == digest(finished().history[0])
        assert exp.current_round_idx == 1


def test_an_interrupt_leaves_a_usable_experiment():
    exp = experiment(settings=LONG)
    job = quietly(exp.start)
    main = threading.main_thread().ident
    assert main is not None
    import signal

    timer = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        job.result()
    assert job.done()
    assert exp.current_round_idx == 0
    assert quietly(next, exp).round_idx == 0
