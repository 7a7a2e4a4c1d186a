"""The verbs of ``%pytyche`` on an experiment with rounds, without fits."""

from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from rounds import finished_round, with_rounds

from pytyche_lab import commands, extension
from pytyche_lab.verbs import VERBS
from pytyche_lab.widgets import Cockpit, SegmentTree


@pytest.fixture
def magics(ipython: InteractiveShell) -> Any:
    extension.load_ipython_extension(ipython)
    magics = ipython.magics_manager.registry["PytycheMagics"]
    exp = with_rounds(finished_round(0), finished_round(1), schedule=(2000, 4000, 8000))
    magics.experiments["promo"] = exp
    return magics


def test_every_verb_is_a_command() -> None:
    assert set(VERBS) <= set(commands.COMMANDS)


def test_a_segment_is_named_selected_and_listed(magics: Any) -> None:
    assert "Core" in repr(magics.pytyche("rename promo --segment S1 --as Core"))
    magics.pytyche("select promo --segment Core")
    exp = magics.experiments["promo"]
    assert exp.views.selected_segment == "S1"
    magics.pytyche("select promo")
    assert exp.views.selected_segment is None
    with pytest.raises(UsageError, match="no segment 'S9'"):
        magics.pytyche("rename promo --segment S9 --as Other")


def test_views_and_history(magics: Any) -> None:
    assert isinstance(magics.pytyche("lab promo"), Cockpit)
    assert magics.pytyche("lab promo") is magics.experiments["promo"].lab()
    assert isinstance(magics.pytyche("tree promo"), SegmentTree)
    assert "round 2" in repr(magics.pytyche("history promo"))
    assert magics.pytyche("show promo --round 1").round["number"] == 1
    with pytest.raises(UsageError, match="rounds 1 to 2, not 4"):
        magics.pytyche("show promo --round 4")


def test_a_round_whose_kernel_ended_goes_on(magics: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no unfinished round"):
        magics.pytyche("resume promo")
    exp = magics.experiments["promo"]
    monkeypatch.setattr(type(exp), "resume", lambda _: finished_round(1))
    assert magics.pytyche("resume promo").round_idx == 1


def test_jobs_are_held_and_ended(magics: Any) -> None:
    with pytest.raises(UsageError, match="no fit that is running"):
        magics.pytyche("stop promo")
    done: list[str] = []
    acts = {
        act: (lambda act=act: done.append(act)) for act in ("pause", "resume", "stop", "cancel")
    }
    magics.experiments["promo"]._job = SimpleNamespace(done=lambda: False, **acts)
    for act in acts:
        magics.pytyche(f"{act} promo")
    assert done == list(acts)


def test_arms_and_segments_are_completed(magics: Any) -> None:
    magics.experiments["promo"].segments.rename("S1", "Core")
    magics.experiments["promo"].segments.rename("S2", "two words")
    words = extension.Completions(magics).words
    assert words("%pytyche drop promo --arm l") == ["low_promo"]
    assert words("%pytyche rename promo --segment ") == ["S0", "S1", "Core", "S2"]
    assert words("%pytyche rename promo --") == ["--segment", "--as"]
    assert words("%pytyche tree pr") == ["promo"]
