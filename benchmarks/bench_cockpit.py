"""How quick the cockpit is with 200 segments and 20 rounds, and whether progress leaks.

In JupyterLab and Chromium, from the browser's own clock. The rounds are made up: what counts
here is their size. Progress is measured on a page of its own, where nothing else allocates.
"""

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests/browser"), str(ROOT / "tests/lab")]

import chromium  # noqa: E402 - found on the path above
import stage  # noqa: E402 - found on the path above
from figures import Figure, record, show  # noqa: E402 - found on the path above
from lab import Notebook, jupyter_lab, write_notebook  # noqa: E402 - found on the path above
from playwright.sync_api import Browser, Error, sync_playwright  # noqa: E402 - found on the path above

from pytyche_engine.jobs import Control, FitEvent, InterimLift, Job, Stage  # noqa: E402 - found on the path above
from pytyche_lab.widgets import FitProgress  # noqa: E402 - found on the path above

SEGMENTS, ROUNDS = 200, 20
REPEATS = 9
UPDATES = 1_000

SETUP = f"""
import sys
sys.path[:0] = [{str(ROOT / "tests/lab")!r}]
import many
exp = many.experiment({SEGMENTS}, {ROUNDS})
lab = exp.lab()
"""

# From the output's appearance in the page to the frame after the dashboard is in it.
WATCH_PAINT = """() => {
    window.paint = null;
    const began = performance.now();
    let appeared = null;
    const watch = new MutationObserver(() => {
        const cell = document.querySelectorAll(".jp-Notebook .jp-Cell")[1];
        if (appeared === null && cell.querySelector(".jp-OutputArea-output")) {
            appeared = performance.now();
        }
        if (!cell.querySelector("[data-testid=round-dashboard] .eff tr[data-segment]")) return;
        watch.disconnect();
        requestAnimationFrame(() => requestAnimationFrame(() => {
            window.paint = {from_output: performance.now() - (appeared ?? began)};
        }));
    });
    watch.observe(document.body, {childList: true, subtree: true});
}"""

# From a click to the frame in which another widget, told by Python, shows it.
ECHO = """async ({click, seen}) => {
    const began = performance.now();
    document.querySelector(click).click();
    while (!document.querySelector(seen)) {
        if (performance.now() - began > 10_000) throw new Error(`no ${seen}`);
        await new Promise((next) => requestAnimationFrame(next));
    }
    return performance.now() - began;
}"""

RENAME = """async ({name}) => {
    const root = document.querySelector("[data-testid=segment-tree]");
    const button = () => root.querySelector("[aria-label^=Rename]");
    // The form of the last new name closes when Python has answered.
    while (!button()) await new Promise((next) => requestAnimationFrame(next));
    button().click();
    const field = root.querySelector("[data-testid=segment-name]");
    field.value = name;
    const began = performance.now();
    field.form.requestSubmit();
    const shown = () => [...document.querySelectorAll("[data-testid=round-dashboard] .pick-name")]
        .some((node) => node.textContent === name);
    while (!shown()) {
        if (performance.now() - began > 10_000) throw new Error("not renamed");
        await new Promise((next) => requestAnimationFrame(next));
    }
    return performance.now() - began;
}"""


def in_lab(browser: Browser) -> dict[str, float]:
    """First paint, and the echoes of a selection and of a new name, in milliseconds."""
    with tempfile.TemporaryDirectory() as home, jupyter_lab(Path(home)) as (address, token, root):
        path = write_notebook(root / "many.ipynb", [SETUP, "lab", "exp.tree()", "lab"])
        page = browser.new_page(viewport={"width": 1280, "height": 1600})
        page.set_default_timeout(60_000)
        opened = Notebook(page, address, token, path)
        opened.run(0, 120)
        if said := opened.text(0):
            raise RuntimeError(said)
        paints: list[float] = []
        for _ in range(3):
            page.evaluate(WATCH_PAINT)
            opened.start(1)
            try:
                page.wait_for_function("window.paint !== null", timeout=60_000)
            except Error as error:
                raise RuntimeError(f"No dashboard; the cell says: {opened.text(1)}") from error
            paints.append(page.evaluate("window.paint.from_output"))
            opened.wait(1)
            page.evaluate("window.jupyterapp.commands.execute('notebook:clear-cell-output')")
            page.wait_for_timeout(300)
        opened.run(1)
        opened.run(2)
        page.locator("[data-testid=segment-tree] .leaf").first.wait_for()
        page.locator("[data-testid=round-dashboard] .eff tr[data-segment]").first.wait_for()
        selected = [
            page.evaluate(
                ECHO,
                {
                    "click": f"[data-testid=round-dashboard] .eff tr[data-segment=S{i}] button",
                    "seen": f"[data-testid=segment-tree] .leaf.sel[data-segment=S{i}]",
                },
            )
            for i in range(10, 10 + REPEATS)
        ]
        renamed = [page.evaluate(RENAME, {"name": f"name {i}"}) for i in range(REPEATS)]
        page.close()
    return {
        "paint": statistics.median(paints),
        "select": statistics.median(selected),
        "select_worst": max(selected),
        "rename": statistics.median(renamed),
        "rename_worst": max(renamed),
    }


def progress_memory(browser: Browser) -> tuple[float, int]:
    """What 1,000 snapshots leave behind: MiB of JavaScript heap, and DOM nodes."""
    job: Job[None] = Job(_no_work, name="round 1")
    job.control.emit(_event(10))
    widget = FitProgress(job, title="Fitting round 1", arms=("control", "promo", "ship"))
    page = browser.new_page()
    stage.show(page, widget, title="Progress")
    first = dict(widget.progress)
    update = """({first, from, to, state}) => {
        const [model] = window.models.values();
        for (let i = from; i < to; i += 1) {
            const points = new Float32Array(4 * 200).map((_, j) => Math.sin(i + j));
            model.values.traces = new DataView(points.buffer);
            model.set("progress", {...first, beat: i, iteration: 100 + i, trace_lengths:
                [200, 200, 200, 200], lifts: first.lifts.map((lift) => ({...lift,
                lift: {...lift.lift, mean: lift.lift.mean + 0.001 * i}}))});
        }
    }"""
    client = page.context.new_cdp_session(page)

    def held() -> tuple[float, int]:
        for _ in range(3):
            client.send("HeapProfiler.collectGarbage")
        heap: Any = client.send("Runtime.getHeapUsage")
        counters: Any = client.send("Memory.getDOMCounters")
        return heap["usedSize"] / 2**20, counters["nodes"]

    # Intervals are remembered to be drawn, up to a limit: leave that behind first.
    page.evaluate(update, {"first": first, "from": 0, "to": 400})
    before, nodes = held()
    page.evaluate(update, {"first": first, "from": 400, "to": 400 + UPDATES})
    after, nodes_after = held()
    page.close()
    widget.close()
    return after - before, nodes_after - nodes


def _no_work(_control: Control) -> None:
    return None


def _event(iteration: int) -> FitEvent:
    lifts = tuple(InterimLift(a, 0.2, 0.1, 0.3, 1.004, 400.0) for a in ("promo", "ship"))
    return FitEvent(
        Stage.SAMPLE,
        iteration=iteration,
        total_iterations=2_000,
        warm_up_iterations=5,
        elapsed_seconds=12.0,
        eta_seconds=30.0,
        n_visitors=150_000,
        n_arms=3,
        n_chains=4,
        interim=lifts,
        chain_traces=tuple(tuple(float(i) for i in range(200)) for _ in range(4)),
    )


def main() -> None:
    with sync_playwright() as playwright:
        browser = chromium.launch(playwright)
        heap, nodes = progress_memory(browser)
        seen = in_lab(browser)
        browser.close()
    size = f"{SEGMENTS} segments x {ROUNDS} rounds, JupyterLab and Chromium"
    figures = [
        Figure(
            "cockpit-first-paint",
            f"{size}: from the output's appearance to the frame with the dashboard in it, "
            "median of 3",
            round(seen["paint"], 1),
            300,
            "lower",
            "ms",
        ),
        Figure(
            "cockpit-select-echo",
            f"{size}: from a click in the dashboard to the frame in which the tree, told by "
            f"Python, shows it, median of {REPEATS}",
            round(seen["select"], 1),
            100,
            "lower",
            "ms",
        ),
        Figure(
            "cockpit-rename-echo",
            f"{size}: from a segment's new name to the frame in which the dashboard, told by "
            f"Python, shows it, median of {REPEATS}",
            round(seen["rename"], 1),
            100,
            "lower",
            "ms",
        ),
        Figure(
            "cockpit-select-echo-worst",
            f"{size}: the slowest of {REPEATS} selections",
            round(seen["select_worst"], 1),
            None,
            "lower",
            "ms",
        ),
        Figure(
            "cockpit-rename-echo-worst",
            f"{size}: the slowest of {REPEATS} new names",
            round(seen["rename_worst"], 1),
            None,
            "lower",
            "ms",
        ),
        Figure(
            "progress-heap-growth",
            f"JavaScript heap that {UPDATES:,} progress updates leave behind after a collection",
            round(heap, 3),
            0.5,
            "lower",
            "MiB",
        ),
        Figure(
            "progress-node-growth",
            f"DOM nodes that {UPDATES:,} progress updates leave behind after a collection",
            nodes,
            50,
            "lower",
            "nodes",
        ),
    ]
    show(figures)
    if "--record" in sys.argv:
        record("cockpit", figures)


if __name__ == "__main__":
    main()
