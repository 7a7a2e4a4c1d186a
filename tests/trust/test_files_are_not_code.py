"""Files are values: bounded, checked, never executed; and pages run nothing of what they show."""

import re
from pathlib import Path

import fuzz
import pytest

from pytyche_engine.contracts.errors import DesignError, StoreError
from pytyche_engine.contracts.reading import check_name
from pytyche_engine.store.served_files import check_files
from pytyche_lab import recipe

ROOT = Path(__file__).parents[2]
PYTHON = [*ROOT.glob("engine/**/*.py"), *ROOT.glob("pytyche_lab/**/*.py")]


@pytest.mark.parametrize("reader", fuzz.READERS)
def test_mutated_files_are_read_or_refused_in_words(reader):
    assert fuzz.blind(reader, 30, seed=1) == []


def test_bombs_are_refused():
    for name, (reader, content) in fuzz.bombs().items():
        said = fuzz.crashes(reader, content)
        assert said is None, (name, said)


def test_a_bomb_is_refused_and_not_read(tmp_path):
    for name in (
        "a zip bomb",
        "a header that lies",
        "a pickle in an array",
        "a table of repeated values",
    ):
        reader, content = fuzz.bombs()[name]
        with pytest.raises(StoreError):
            fuzz.READERS[reader](content, tmp_path)


def test_settings_with_references_are_refused():
    with pytest.raises(DesignError, match=r"references .* are not used"):
        recipe.read("treatments: &arms [control, a]\nsource: *arms\n")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "..", "", "a\\b", "a\0b", 3])
def test_names_that_lead_out_of_a_folder_are_refused(name, tmp_path):
    with pytest.raises(StoreError, match="not the name of a file in the folder"):
        check_name(name)
    with pytest.raises(StoreError):
        check_files(tmp_path, {name: "0"})


FORBIDDEN = re.compile(
    r"import (pickle|marshal|shelve|joblib|dill)|allow_pickle=True|(?<![\w.])(eval|exec)\("
    r"|os\.system|shell=True|yaml\.(unsafe_|full_)?load\((?!text, Loader=_PlainLoader)"
)


def test_the_package_has_nothing_that_would_run_a_file():
    for file in PYTHON:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            assert not FORBIDDEN.search(line.split("#")[0]), f"{file}:{number}: {line}"


def test_arrays_are_only_read_where_pickles_are_refused():
    lines = [line.strip() for file in PYTHON for line in file.read_text().splitlines()]
    loads = [line for line in lines if re.search(r"np\.load\(|read_array\(", line)]
    assert loads
    assert all("allow_pickle=False" in line for line in loads)


SCRIPTS = [f for f in ROOT.glob("js/src/**/*.ts") if not f.name.endswith(".test.ts")]
BUNDLES = [*ROOT.glob("pytyche_lab/static/*.js")]
IN_SOURCES = re.compile(
    r"\.(inner|outer)HTML\s*=|insertAdjacentHTML|document\.write|(?<![\w.])eval\(|new Function\("
    r"|https?://(?!www\.w3\.org/)"
)


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda f: str(f.relative_to(ROOT)))
def test_scripts_run_nothing_and_fetch_nothing(file):
    code = re.sub(r"/\*.*?\*/|(?<!:)//[^\n]*", "", file.read_text(), flags=re.DOTALL)
    assert not IN_SOURCES.findall(code)


@pytest.mark.skipif(not BUNDLES, reason="no bundle is built here; make setup builds them")
def test_what_ships_evaluates_nothing():
    for file in BUNDLES:
        assert not re.findall(r"(?<![\w.$])eval\(|new Function\(|importScripts\(", file.read_text())
