"""The progress of a fit in JupyterLab while the cell that waits for it blocks."""

import re
import time
from pathlib import Path

import pytest
from conftest import Open
from lab import Notebook
from playwright.sync_api import expect

# A job that takes 30 s and tells of itself as a fit does.
SETUP = """
import time
from IPython.display import display
from pytyche_engine.jobs import Control, FitEvent, InterimLift, Job, Stage
from pytyche_lab.widgets import FitProgress

def work(control: Control) -> str:
    for i in range(600):
        control.halt_if_asked()
        lift = InterimLift(ARM, 0.2, 0.1, 0.3, 1.003, 400.0)
        control.emit(FitEvent(
            Stage.SAMPLE, iteration=i, total_iterations=600, warm_up_iterations=1,
            elapsed_seconds=i / 20, eta_seconds=30 - i / 20, n_visitors=2000, n_arms=2,
            n_chains=2, interim=(lift,) if i > 10 else (),
        ))
        time.sleep(0.05)
    return "finished"
"""
BLOCK = """
job = Job(work, name="round 1").start()
display(FitProgress(job, title="Fitting round 1", arms=("control", ARM)))
job.result()
"""
HOSTILE = "<img src=x onerror=window.hacked=1>"


def started(notebook: Open, arm: str = "promo") -> Notebook:
    opened = notebook([f"ARM = {arm!r}\n{SETUP}", BLOCK, "job.state.value"])
    opened.run(0)
    opened.start(1)
    expect(opened.output(1).get_by_test_id("fit-progress")).to_be_visible()
    return opened


def test_the_bar_moves_while_the_cell_blocks_and_cancel_ends_it(
    notebook: Open, shots: Path
) -> None:
    opened = started(notebook)
    bar = opened.output(1).get_by_test_id("bar")
    seen: set[str | None] = set()
    deadline = time.monotonic() + 10
    while len(seen - {None}) < 4 and time.monotonic() < deadline:
        seen.add(bar.get_attribute("aria-valuenow"))
        time.sleep(0.2)
    assert len(seen - {None}) >= 3
    assert not opened.has_ended(1)
    opened.page.screenshot(path=shots / "fit-progress-light.png")

    clicked = time.monotonic()
    opened.output(1).get_by_test_id("cancel").click()
    opened.wait(1, seconds=10)
    assert time.monotonic() - clicked < 3
    assert "FitCancelled" in opened.text(1)
    assert opened.run(2).strip().endswith("'cancelled'")
    expect(opened.output(1).get_by_text("Fit cancelled")).to_be_visible()


def test_pause_holds_and_resume_goes_on(notebook: Open, shots: Path) -> None:
    opened = started(notebook)
    opened.set_theme("JupyterLab Dark")
    output = opened.output(1)
    bar = output.get_by_test_id("bar")
    expect(bar).to_have_attribute("aria-valuenow", re.compile(r"^[1-9]"))
    output.get_by_test_id("pause").click()
    expect(output.get_by_test_id("resume")).to_be_visible()
    time.sleep(0.5)
    held = bar.get_attribute("aria-valuenow")
    time.sleep(1.5)
    assert bar.get_attribute("aria-valuenow") == held
    opened.page.screenshot(path=shots / "fit-progress-paused-dark.png")
    output.get_by_test_id("resume").click()
    expect(bar).not_to_have_attribute("aria-valuenow", str(held))
    output.get_by_test_id("cancel").click()
    opened.wait(1, seconds=10)


def test_kernel_interrupt_cancels_too(notebook: Open) -> None:
    opened = started(notebook)
    opened.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()"
    )
    opened.wait(1, seconds=10)
    assert "KeyboardInterrupt" in opened.text(1)
    assert opened.run(2).strip().endswith("'cancelled'")


@pytest.mark.parametrize("key", ["b", "d"])
def test_keys_on_a_focused_button_stay_in_the_widget(notebook: Open, key: str) -> None:
    opened = started(notebook)
    cells = opened.page.locator(".jp-Notebook .jp-Cell").count()
    pause = opened.output(1).get_by_test_id("pause")
    expect(pause).to_be_enabled()
    pause.focus()
    expect(pause).to_be_focused()
    opened.page.keyboard.press(key)
    opened.page.keyboard.press(key)
    assert opened.page.locator(".jp-Notebook .jp-Cell").count() == cells
    opened.output(1).get_by_test_id("cancel").click()
    opened.wait(1, seconds=10)


def test_names_are_shown_as_text(notebook: Open) -> None:
    opened = started(notebook, HOSTILE)
    expect(opened.output(1).get_by_text(HOSTILE).first).to_be_visible()
    assert opened.page.evaluate("() => window.hacked") is None
    assert opened.output(1).locator("img").count() == 0
    opened.output(1).get_by_test_id("cancel").click()
    opened.wait(1, seconds=10)
