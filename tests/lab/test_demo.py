"""`notebooks/run_demo.py` on small notebooks."""

import subprocess
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[2]
ROUND = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from rounds import finished_round
finished_round()
"""
PROGRESS = """
from pytyche_engine.jobs import FitEvent, Job, Stage
from pytyche_lab.progress import watcher
job = Job(lambda control: control.emit(FitEvent(Stage.SAMPLE)), name="round 1")
watcher(progress=True)(job)
job.start().result()
print("printed by a cell")
"""


def demo(tmp_path: Path, *cells: str) -> tuple[int, str, str]:
    source, page = tmp_path / "nb.ipynb", tmp_path / "page.html"
    code = [nbformat.v4.new_code_cell(cell) for cell in cells]
    heading = nbformat.v4.new_markdown_cell("# The first round\nwords")
    nbformat.write(nbformat.v4.new_notebook(cells=[heading, *code]), source)
    command = [sys.executable, str(ROOT / "notebooks" / "run_demo.py"), str(source), str(page)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    return ran.returncode, ran.stdout + ran.stderr, page.read_text()


def test_what_runs_is_in_the_terminal_and_in_the_page(tmp_path: Path) -> None:
    code, terminal, page = demo(tmp_path, ROUND, PROGRESS, "6 * 7")
    assert code == 0, terminal
    assert "The first round" in terminal
    assert "recommendation: SHIP" in terminal
    assert "Fitting round 1: done" in terminal
    assert "\n42\n" in terminal
    assert '<table class="pytyche">' in page
    assert "printed by a cell" in page
    assert "Fitting round 1" not in page


def test_a_cell_that_fails_fails_the_demo(tmp_path: Path) -> None:
    code, terminal, page = demo(tmp_path, "1 / 0", "print('never')")
    assert code == 1
    assert "ZeroDivisionError" in terminal
    assert "ZeroDivisionError" in page
    assert ">>> print('never')" not in terminal
