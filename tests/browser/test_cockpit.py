"""The cockpit in JupyterLab: run a round from it, select, reload, and look at it twice."""

from pathlib import Path

from axe import violations
from conftest import Open
from lab import ROOT, Notebook
from playwright.sync_api import Locator, expect

HOSTILE = "<img src=x onerror=window.hacked=1>"
FIT_MS = 180_000  # with a cold compilation cache on two busy cores
NEW = f"""
import warnings; warnings.simplefilter("ignore")
import pytyche_lab as pt
arms = ("control", {HOSTILE!r}, "free_ship")
exp = pt.sequential_experiment(
    schedule=(600, 400), treatments=arms, seed=1, name="promo", min_segment_share=0.2,
    generator=pt.simulated_experiment_generator(
        template="reversal", treatment_names=arms, K=3, seed=3, n_nuisance=1, effect_scale=1.0,
        baseline_rate=0.5),
    settings=pt.Settings(num_trees_mu=10, num_trees_tau=5, num_chains=2, num_warm_up=40,
                         num_warm_up_warm=20, min_draws=60, max_draws=60, thin=1),
)
"""

# Both views are of one widget, so the second may follow before Python has heard of it.
SELECTED = """
import time
until = time.monotonic() + 10
while exp.views.selected_segment is None and time.monotonic() < until:
    time.sleep(0.05)
exp.views.selected_segment, len(exp.history)
"""


def cockpit(opened: Notebook, index: int) -> Locator:
    return opened.output(index).get_by_test_id("cockpit")


def test_a_round_is_run_and_read_from_the_cockpit(notebook: Open, shots: Path) -> None:
    opened = notebook([NEW, "exp.lab()", "exp.lab()", SELECTED])
    opened.run(0, 60)
    opened.run(1)
    opened.run(2)
    first, second = cockpit(opened, 1), cockpit(opened, 2)
    expect(first.get_by_text("No round has run yet")).to_be_visible()

    first.get_by_test_id("run").click()
    expect(first.get_by_test_id("fit-progress")).to_be_visible(timeout=30_000)
    expect(second.get_by_test_id("fit-progress")).to_be_visible()
    assert violations(opened.page, "[data-testid=fit-progress]") == []
    expect(first.get_by_test_id("verdict")).to_be_visible(timeout=FIT_MS)
    expect(second.get_by_test_id("verdict")).to_be_visible()
    assert opened.page.evaluate("() => window.hacked") is None
    assert first.locator("img").count() == 0

    # What is selected in one view is selected in all, and in Python.
    first.locator(".eff tr[data-segment] button").last.click()
    chosen = first.locator("tr.sel").first.get_attribute("data-segment")
    expect(second.locator(f"tr.sel[data-segment={chosen}]").first).to_be_visible()
    assert opened.run(3).strip().endswith(f"('{chosen}', 1)")

    # The tab is state too.
    second.get_by_test_id("tab-segments").click()
    expect(first.get_by_test_id("segment-tree")).to_be_visible()

    opened.page.set_viewport_size({"width": 1280, "height": 2200})
    for theme in ("Light", "Dark"):
        opened.set_theme(f"JupyterLab {theme}")
        for tab in ("round", "plan", "segments", "calibration", "history"):
            first.get_by_test_id(f"tab-{tab}").click()
            expect(first.get_by_test_id(f"panel-{tab}")).to_be_visible()
            if tab == "plan":
                expect(first.get_by_test_id("cell-plan")).to_be_visible(timeout=60_000)
            opened.page.wait_for_timeout(150)
            first.screenshot(path=shots / f"cockpit-{tab}-{theme.lower()}.png")
            assert violations(opened.page, "[data-testid=cockpit]") == []
    opened.set_theme("JupyterLab Light")
    first.get_by_test_id("tab-segments").click()

    opened.reload()
    again = cockpit(opened, 1)
    expect(again.get_by_test_id("segment-tree")).to_be_visible(timeout=30_000)
    expect(again.get_by_test_id("tab-segments")).to_have_attribute("aria-selected", "true")
    again.get_by_test_id("tab-round").click()
    expect(again.locator(f"tr.sel[data-segment={chosen}]").first).to_be_visible()


def test_what_went_wrong_stands_beside_the_buttons(notebook: Open) -> None:
    opened = notebook(
        [
            """
import pandas as pd, pytyche_lab as pt
exp = pt.sequential_experiment(schedule=(600, 400), treatments=("control", "promo"), name="promo")
wrong = pd.DataFrame({"visitor_id": ["a", "b"]})
""",
            "exp.lab()",
        ]
    )
    opened.run(0, 60)
    opened.run(1)
    view = cockpit(opened, 1)
    view.get_by_test_id("frame").select_option("wrong")
    view.get_by_test_id("observe").click()
    expect(view.locator(".pt-note.bad")).to_contain_text("arm", timeout=30_000)
    expect(view.locator(".pt-note.bad")).to_contain_text("The experiment is as it was.")


def test_a_chart_beside_the_cockpit_selects_with_it(notebook: Open, shots: Path) -> None:
    written = f"""
import sys; sys.path.insert(0, {str(ROOT / "tests/lab")!r})
import pytyche_lab as pt
from rounds import finished_round, with_rounds
exp = with_rounds(finished_round(arms=("control", {HOSTILE!r}, "free_ship")))
chart = pt.viz.plot_segment_intervals(exp.latest.analysis.segments)
"""
    opened = notebook([written, "exp.lab()", "chart", "exp.views.selected_segment"])
    opened.run(0, 60)
    opened.run(1)
    opened.run(2)
    view, chart = cockpit(opened, 1), opened.output(2).get_by_test_id("segment-chart")
    expect(chart.locator(".strip")).to_have_count(2)

    chart.locator(".strip[data-segment=S2]").click()
    expect(view.locator("tr.sel[data-segment=S2]").first).to_be_visible()
    view.locator(".eff tr[data-segment=S1] button").first.click()
    expect(chart.locator(".strip[data-segment=S1]")).to_have_attribute("aria-pressed", "true")
    expect(chart.locator(".strip[data-segment=S2]")).to_have_attribute("aria-pressed", "false")

    chart.locator(".strip[data-segment=S1]").focus()
    opened.page.keyboard.press("ArrowDown")
    opened.page.keyboard.press("Enter")
    expect(view.locator("tr.sel[data-segment=S2]").first).to_be_visible()
    assert opened.run(3).strip().endswith("'S2'")

    # A word with a definition leads to the server's copy of the documentation.
    word = view.get_by_role("link", name="Claim").first
    word.focus()
    expect(view.get_by_text("How far an estimate may be trusted").first).to_be_visible()
    view.screenshot(path=shots / "cockpit-definition.png")
    with opened.page.context.expect_page() as reading:
        opened.page.keyboard.press("Enter")
    heading = reading.value.get_by_role("heading", name="Who chose it, and who estimated it")
    expect(heading).to_be_in_viewport()
    reading.value.screenshot(path=shots / "documentation.png")
    reading.value.close()

    assert opened.page.evaluate("() => window.hacked") is None
    for theme in ("Light", "Dark"):
        opened.set_theme(f"JupyterLab {theme}")
        chart.screenshot(path=shots / f"lab-chart-{theme.lower()}.png")
        assert violations(opened.page, "[data-testid=segment-chart]") == []
