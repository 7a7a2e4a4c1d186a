"""After any kill, what was written is there, and nothing is there by half.

``PYTYCHE_KILLS`` is how many kills there are in all (30); two thirds of them here, the others in
``tests/engine/test_resume.py``.
"""

import os

import pytest
from store_kills import kill

KILLS = int(os.environ.get("PYTYCHE_KILLS", "30"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_nothing_is_lost_whenever_a_writer_is_killed(tmp_path):
    assert kill(KILLS - KILLS // 3, tmp_path) == 0
