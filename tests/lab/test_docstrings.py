"""What docstrings say: examples come out as shown, and every public name has one."""

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import pytyche_lab as pt

ROOT = Path(__file__).parents[2]


def with_examples() -> list[str]:
    """Modules that show an example."""
    found = []
    for folder, package in ((ROOT / "engine", "pytyche_engine"), (ROOT, "pytyche_lab")):
        for path in sorted((folder / package).rglob("*.py")):
            if ">>> " in path.read_text():
                found.append(".".join(path.relative_to(folder).with_suffix("").parts))
    return found


@pytest.mark.parametrize("module", with_examples())
def test_examples_come_out_as_shown(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0


def test_there_are_examples() -> None:
    assert len(with_examples()) > 5


CALLED_BY_IPYTHON = {"load_ipython_extension", "unload_ipython_extension"}


@pytest.mark.parametrize("name", sorted(set(pt.__all__) - CALLED_BY_IPYTHON))
def test_a_public_name_says_what_it_is(name: str) -> None:
    what = getattr(pt, name)
    assert (what.__doc__ or "").strip()
    if inspect.isfunction(what):
        documented = what.__doc__ or ""
        told = [p for p in inspect.signature(what).parameters if p in documented]
        assert told == list(inspect.signature(what).parameters)
