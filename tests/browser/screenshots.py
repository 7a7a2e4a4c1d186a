"""Pictures of every widget with the data of real fits: ``make screenshots``.

All of them go to ``build/screenshots`` (light and dark, wide and narrow), and those of the README
to ``docs/pictures``. The experiment is fitted once and kept in ``build/screenshots/experiment``.
"""

import base64
import io
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chromium
import stage
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import pytyche_lab as pt
from pytyche_engine.jobs import FitEvent, Job, Stage
from pytyche_lab.client import LocalClient
from pytyche_lab.experiments import LabExperiment
from pytyche_lab.widgets import Console, FitProgress, RoundDashboard
from pytyche_lab.widgets.fit_progress import progress_view, trace_bytes

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "build" / "screenshots"
PICTURES = ROOT / "docs" / "pictures"
README_BYTES = 300_000
ARMS = ("control", "low_promo", "free_ship")
VARIANTS = [(theme, width) for theme in ("light", "dark") for width in (980, 480, 375)]
# What stands in the README and the guides: widget, theme, and how much of its height.
CHOSEN = {
    ("cockpit-round", "light"): 1180,
    ("cockpit-plan", "dark"): 640,
    ("segment-tree", "light"): 980,
    ("fit-progress", "dark"): 640,
    ("chart-intervals", "light"): 480,
}


def source() -> Any:
    return pt.simulated_experiment_generator(
        template="interaction_only",
        effect_scale=0.6,
        n_nuisance=3,
        K=3,
        treatment_names=ARMS,
        seed=7,
    )


def experiment() -> LabExperiment:
    """Two finished rounds; fitted only if they are not there yet."""
    kept, shown = SHOTS / "experiment", SHOTS / "shown"
    if not kept.exists():
        print("fitting two rounds; this takes some minutes", flush=True)
        exp = pt.sequential_experiment(
            schedule=pt.GeometricSchedule(initial=12_000, growth=2.0, n_rounds=3),
            treatments=ARMS,
            generator=source(),
            seed=42,
            name="checkout promotion",
            max_segment_depth=3,
            path=kept,
            progress=False,
        )
        next(exp)
        next(exp)
    # Names given below must not be given twice.
    shutil.rmtree(shown, ignore_errors=True)
    shutil.copytree(kept, shown)
    return pt.open_experiment(shown, source(), progress=False)


def called(rule: str) -> str:
    """A name for a segment of this source, whose effects turn on two features."""
    depth = "Deep" if "browse_depth >" in rule else "Light"
    return f"{depth}, {'high' if 'session_recency >' in rule else 'low'} recency"


def sampling() -> list[FitEvent]:
    """What a small fit said until it was sampling for a while."""
    # One that goes on for long: it has to be caught while it samples.
    small = pt.Settings(
        num_trees_mu=10,
        num_trees_tau=5,
        num_chains=2,
        num_warm_up=40,
        min_draws=600,
        max_draws=600,
        thin=1,
    )
    exp = pt.sequential_experiment(
        schedule=(2_000, 4_000),
        treatments=ARMS,
        generator=source(),
        seed=42,
        progress=False,
        settings=small,
    )
    job = exp.start()
    said: list[FitEvent] = []
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and not job.done():
        event = job.latest
        if event and event.stage is Stage.SAMPLE and event.interim and event not in said[-1:]:
            said.append(event)
            drawn = event.iteration - event.warm_up_iterations
            if drawn > 0.6 * (event.total_iterations - event.warm_up_iterations):
                break
        time.sleep(0.02)
    job.cancel()
    return said


def running(event: FitEvent) -> Job[None]:
    """A job that runs and has said this."""
    job: Job[None] = Job(lambda _: None, name="round 1")
    job.control.emit(event)
    return job


def replay(page: Page, said: list[FitEvent]) -> None:
    """Show what a fit said one after another: the page remembers how lifts became narrower."""
    for beat, event in enumerate(said, 1):
        page.evaluate(
            """({progress, traces}) => {
                const [model] = window.models.values();
                const bytes = Uint8Array.from(atob(traces), (c) => c.charCodeAt(0));
                model.values.traces = new DataView(bytes.buffer);
                model.set("progress", progress);
            }""",
            {
                "progress": progress_view(running(event), beat, 0.0, ARMS),
                "traces": base64.b64encode(trace_bytes(event)).decode(),
            },
        )


def console() -> Console:
    """The console over a registry of its own, with tests that ran and one whose split is off."""
    folder = SHOTS / "jupyter"
    shutil.rmtree(folder, ignore_errors=True)
    os.environ["JUPYTER_DATA_DIR"] = str(folder)
    client = LocalClient()
    seen = {
        (
            "checkout_badge_with_guarantee",
            "A trust badge beside the price lifts checkout.",
            False,
        ): (
            (6_000, 300),
            (6_000, 402),
        ),
        ("Newsletter subject line", "Naming the product opens more letters.", True): (
            (2_000, 180),
            (2_000, 176),
        ),
        ("Search ranking by margin", "It earns more and loses no orders.", False): (
            (7_000, 340),
            (5_000, 260),
        ),
    }
    for (name, hypothesis, bandit), counts in seen.items():
        one = client.create(
            name,
            variants={"control": 0.5, "treatment": 0.5},
            hypothesis=hypothesis,
            bandit_enabled=bandit,
        )
        one.launch()
        one.observe(counts=dict(zip(("control", "treatment"), counts, strict=True)))
        one.analyze()
    client.create("Draft of a landing page", variants={"control": 0.5, "short": 0.5})
    return Console()


def charts(exp: LabExperiment) -> dict[str, Any]:
    """The charts whose segments can be selected."""
    last = exp.history[-1]
    segments = last.analysis.segments
    return {
        "intervals": pt.viz.plot_segment_intervals(segments),
        "tree": pt.viz.plot_policy_tree(segments, last.next_recommendation),
        "evolution": pt.viz.plot_evolution(exp.history),
    }


def tested(view: RoundDashboard) -> RoundDashboard:
    """The dashboard once the classical tests are there: on a page without a kernel none asks."""
    view.asked({"kind": "classic"})
    deadline = time.monotonic() + 300
    while view.classic is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return view


def take(
    browser: Browser,
    name: str,
    build: Callable[[], Any],
    then: Callable[[Page], None] = lambda _page: None,
) -> None:
    page = browser.new_page()
    for theme, width in VARIANTS:
        stage.show(page, build(), theme=theme, width=width, title=name)
        then(page)
        page.wait_for_timeout(300)
        card = page.locator("main .pt-card").first
        card.screenshot(path=SHOTS / f"{name}-{theme}-{width}.png")
        height = CHOSEN.get((name, theme))
        if height and width == 980:
            box = card.bounding_box()
            if box is None:
                raise RuntimeError(f"{name} is not on the page.")
            clip = {**box, "height": min(box["height"], height)}
            shot = page.screenshot(clip=clip, full_page=True)
            # Without loss and a third of the PNG: the wheel has the documentation in it.
            Image.open(io.BytesIO(shot)).convert("RGB").save(
                PICTURES / f"{name}.webp", lossless=True, method=6
            )
    page.close()
    print(name, flush=True)


def main() -> None:
    warnings.simplefilter("ignore")
    SHOTS.mkdir(parents=True, exist_ok=True)
    PICTURES.mkdir(parents=True, exist_ok=True)
    exp = experiment()
    for segment in exp.latest.analysis.segments if exp.latest else ():
        exp.segments.rename(segment.id, called(str(segment.rule)))
    exp.views.selected_segment = next(iter(exp.latest.analysis.segments)).id if exp.latest else None

    def tab(name: str) -> Callable[[], Any]:
        def opened() -> Any:
            view = exp.lab()
            view.tab = name
            return view

        return opened

    said = sampling()
    progress = FitProgress(running(said[0]), title="Fitting round 1", arms=ARMS)
    with sync_playwright() as playwright:
        browser = chromium.launch(playwright)
        dashboard = tested(exp.dashboard())
        tested(exp.lab().round)
        take(browser, "round-dashboard", lambda: dashboard)
        take(browser, "segment-tree", exp.tree)
        take(browser, "cell-plan", exp.editor)
        take(browser, "fit-progress", lambda: progress, lambda page: replay(page, said))
        for name, chart in charts(exp).items():
            take(browser, f"chart-{name}", lambda chart=chart: exp.chart(chart))
        shown = console()
        take(browser, "console", lambda: shown)
        for name in ("round", "plan", "segments", "calibration", "history"):
            take(browser, f"cockpit-{name}", tab(name))
        browser.close()
    total = sum(file.stat().st_size for file in PICTURES.glob("*.webp"))
    print(f"pictures for the README: {total / 1e6:.2f} MB")
    if total > README_BYTES:
        sys.exit(f"The README's pictures may be {README_BYTES / 1e6} MB in all.")


if __name__ == "__main__":
    main()
