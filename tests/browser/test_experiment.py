"""A real experiment in JupyterLab: a fit that is cancelled, one that ends, and its dashboard."""

import time
from pathlib import Path

from conftest import Open
from playwright.sync_api import expect

HOSTILE = "<img src=x onerror=window.hacked=1>"
NEW = f"""
import warnings
import pytyche_lab as pt
warnings.simplefilter("ignore", pt.UncalibratedWarning)
arms = ["control", {HOSTILE!r}, "free_ship"]
generator = pt.simulated_experiment_generator(
    template="clustered_realistic", effect_scale=0.5, K=3, seed=42, treatment_names=arms)
exp = pt.sequential_experiment(
    generator=generator, schedule=pt.FixedSchedule(1000, 2), treatments=arms, seed=42,
    name="checkout promotion")
"""
TERMS_BESIDE_VALUES = """() => [...document.querySelectorAll(".pt-dl dt")].every((term) => {
    const [a, b] = [term, term.nextElementSibling].map((node) => node.getBoundingClientRect());
    return a.right <= b.left && Math.abs(a.top - b.top) < 8;
})"""
FIT_SECONDS = 180  # with a cold compilation cache on two busy cores


def test_cancel_a_fit_then_run_it_and_see_the_round(notebook: Open, shots: Path) -> None:
    opened = notebook(
        [
            NEW,
            "first = next(exp)",
            "(len(exp.history), exp.plan.round_index)",
            "first = next(exp)",
            "pt.RoundDashboard(first, title=exp.name)",
        ]
    )
    opened.run(0, FIT_SECONDS)

    opened.start(1)
    cancel = opened.output(1).get_by_test_id("cancel")
    expect(cancel).to_be_visible(timeout=30_000)
    cancel.click()
    opened.wait(1, seconds=60)  # compiling cannot be interrupted; every other stage answers at once
    assert "FitCancelled" in opened.text(1)
    assert opened.run(2).endswith("(0, 0)")

    opened.start(3)
    bar = opened.output(3).get_by_test_id("bar")
    seen: set[str | None] = set()
    deadline = time.monotonic() + FIT_SECONDS
    while not opened.has_ended(3) and time.monotonic() < deadline:
        if bar.count():
            seen.add(bar.get_attribute("aria-valuenow"))
        time.sleep(0.1)
    assert len(seen - {None}) >= 3, "the bar did not move while the cell was blocked"
    assert "Error" not in opened.text(3)

    opened.run(4)
    dashboard = opened.output(4).get_by_test_id("round-dashboard")
    expect(dashboard).to_be_visible()
    expect(dashboard.get_by_test_id("verdict")).to_be_visible()
    expect(dashboard.get_by_test_id("truth")).to_be_visible()
    expect(dashboard.get_by_text("Uncalibrated").first).to_be_visible()
    expect(dashboard.get_by_text(HOSTILE).first).to_be_visible()
    assert opened.page.evaluate("() => window.hacked") is None
    assert dashboard.locator("img").count() == 0
    assert opened.page.evaluate(TERMS_BESIDE_VALUES), "JupyterLab's styles broke the list"
    opened.page.set_viewport_size({"width": 1280, "height": 2600})
    for theme in ("Light", "Dark"):
        opened.set_theme(f"JupyterLab {theme}")
        dashboard.screenshot(path=shots / f"round-dashboard-{theme.lower()}.png")
    opened.set_theme("JupyterLab Light")


def test_charts_are_drawn_without_a_network(notebook: Open, shots: Path) -> None:
    opened = notebook(
        [
            "import pytyche_lab as pt\n"
            "cells = (pt.Cell('control', pt.BaselinePolicy(), 0.2),\n"
            f"         pt.Cell({HOSTILE!r}, pt.UniformPolicy(('control', 'promo')), 0.8))\n"
            "pt.viz.plot_cells(cells)"
        ]
    )
    # Only this machine answers: a chart that needs a CDN stays empty.
    opened.page.context.route(lambda url: "127.0.0.1" not in url, lambda route: route.abort())
    opened.run(0)
    chart = opened.output(0).locator(".vega-embed").first
    expect(chart.locator("canvas, svg").first).to_be_visible()
    assert opened.page.evaluate("() => window.hacked") is None
    opened.output(0).first.screenshot(path=shots / "plot-cells.png")
