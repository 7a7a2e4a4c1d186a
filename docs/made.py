"""The pages that are made from code, notebooks and measurements.

They go to ``docs/made``, which is not committed: what they show cannot fall behind.
"""

import html
import importlib
import json
import re
import shutil
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MADE = Path(__file__).parent / "made"

API = {
    "experiments": (
        "Experiments",
        "Make, open, run and read experiments in rounds.",
        ("sequential_experiment", "open_experiment", "open", "check_setup", "console"),
    ),
    "designs": (
        "Designs and plans",
        "Schedules, cells, policies, rules and the limits that decide.",
        (
            "GeometricSchedule", "FixedSchedule", "ExplicitSchedule", "Cell", "BaselinePolicy",
            "UniformPolicy", "MixPolicy", "TreePolicy", "hypothesis_cell", "Rule", "Threshold",
            "Levels", "DecisionThresholds", "ExpectedLossRule", "Money", "ClaimLevel",
        ),
    ),
    "data": (
        "Data",
        "Where a round's visitors come from, and the door that they come through.",
        ("ColumnMapping", "read_round", "replay", "simulated_experiment_generator"),
    ),
    "model": ("The model", "What an experiment fits, by hand.", ("fit", "Settings", "Posterior")),
    "calibration": (
        "Calibration and rehearsals",
        "How often intervals hold, and what a design finds.",
        (
            "sweep", "SweepDesign", "Scenario", "calibrate", "CalibrationArtifact", "rehearse",
            "n_for_power",
        ),
    ),
    "widgets": (
        "Widgets",
        "Views of it.",
        ("CellPlan", "RoundDashboard", "SegmentChart", "SegmentTree"),
    ),
    "platforms": ("The console's API", "From a script.", ("Client", "LocalClient")),
    "errors": (
        "Errors and warnings",
        "What is raised, and what is only said.",
        (
            "PytycheError", "DataError", "DesignError", "ClaimError", "CalibrationError",
            "TruthError", "StoreError", "UnknownExperimentError", "WrongStateError",
            "PhaseOrderError", "FitError", "FitCancelled", "ServerError", "PytycheWarning",
            "DataNotice", "UncalibratedWarning", "CalibrationMismatchWarning", "UnconvergedWarning",
            "FailedFitsWarning", "SlowFitWarning",
        ),
    ),
}  # fmt: skip
"""Title, what it is for, and the public names of each page. The rest is the classical analysis."""

INCLUDED = ("artifacts", "dependencies", "figures", "peers", "routes")
"""Files that are part of a page, and no page themselves."""

ON_EXPERIMENTS = "pytyche_lab.experiments.LabExperiment"


def everything() -> None:
    """Make all pages anew."""
    sys.path[:0] = [str(ROOT / "benchmarks")]
    shutil.rmtree(MADE, ignore_errors=True)
    MADE.mkdir()
    notebooks()
    api()
    dependencies()
    benchmarks()
    artifacts()
    routes()


def notebooks() -> None:
    """Copies of the tutorials, since Sphinx reads below its own folder only.

    Without live charts, which a page does not show: the pictures beside them stay.
    """
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = json.loads(path.read_text())
        for cell in notebook["cells"]:
            for output in cell.get("outputs", []):
                output.get("data", {}).pop("application/vnd.vegalite.v5+json", None)
        _write(path.name, json.dumps(notebook))


def api() -> None:
    """A page for each group of public names."""
    public = importlib.import_module("pytyche_lab")
    grouped = {name for _, _, names in API.values() for name in names}
    skipped = {*public._MODULES, "load_ipython_extension", "unload_ipython_extension"}
    classic = sorted(set(public.__all__) - grouped - skipped, key=str.lower)
    groups = API | {"classic": ("Classical analysis", "Tests without a model.", tuple(classic))}
    titles = {}
    for key, (title, what, names) in groups.items():
        entries = [_entry(f"pytyche_lab.{name}", getattr(public, name)) for name in names]
        if key == "experiments":
            entries.append(f".. autoclass:: {ON_EXPERIMENTS}\n   :members:\n   :inherited-members:")
            entries += [
                f".. autoclass:: pytyche_engine.experiment.{where}\n   :members:"
                for where in ("round.Round", "analysis.RoundAnalysis", "draft.PlanDraft")
            ]
        titles[key] = title
        _write(f"api-{key}.rst", _heading(title), what, *entries)
    charts = importlib.import_module("pytyche_lab.viz")
    names = sorted(n for n in vars(charts) if n.startswith("plot_"))
    titles["viz"] = "Charts"
    _write(
        "api-viz.rst",
        _heading("Charts"),
        "``pt.viz``: Altair charts with their numbers in ``chart.data``.",
        *(_entry(f"pytyche_lab.viz.{n}", getattr(charts, n)) for n in names),
    )
    order = "\n".join(f"   api-{key}" for key in titles)
    _write(
        "api.rst",
        _heading("API reference"),
        "Names of ``pytyche_lab`` (``import pytyche_lab as pt``), unless it says otherwise. "
        "The text is that of the docstrings.",
        f".. toctree::\n   :maxdepth: 1\n\n{order}",
    )


def _entry(name: str, what: object) -> str:
    if isinstance(what, type):
        errors = issubclass(what, Exception)
        return f".. autoclass:: {name}" + ("" if errors else "\n   :members:")
    return f".. autofunction:: {name}"


def dependencies() -> None:
    """Who imports whom, as a picture and a table, from the code itself."""
    import grimp

    graph = grimp.build_graph("pytyche_engine", "pytyche_lab", exclude_type_checking_imports=True)
    edges = {
        (room, other)
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
        if (room := _room(module)) != (other := _room(imported)) and room and other
    }
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c["type"] == "layers")
    rows = [re.findall(r"\w+", layer) for layer in layers]
    _write("dependencies.svg", _picture([["pytyche_lab"], *rows], edges))
    listed = [f"| `{room}` | {', '.join(f'`{b}`' for a, b in sorted(edges) if a == room) or '—'} |"
              for room in ("pytyche_lab", *(name for row in rows for name in row))]  # fmt: skip
    _write("dependencies.md", "| room | imports |\n|---|---|\n" + "\n".join(listed))


def _room(module: str) -> str:
    package, _, rest = module.partition(".")
    return "pytyche_lab" if package == "pytyche_lab" else rest.partition(".")[0]


def _picture(rows: list[list[str]], edges: Iterable[tuple[str, str]]) -> str:
    """Rooms by layer, the ones that are imported by others further down."""
    width, high, box = 920, 96, (112, 34)
    # A row of one stands left or right of the middle, or all arrows would lie on one line.
    place = {
        name: (
            width * (i + 1) / (len(row) + 1) + (len(row) == 1) * 150 * (-1) ** depth,
            40 + high * depth,
        )
        for depth, row in enumerate(rows)
        for i, name in enumerate(row)
    }
    lines, boxes = [], []
    for a, b in sorted(edges):
        (x1, y1), (x2, y2) = place[a], place[b]
        # Within a row the arrow hangs below it.
        bend, side = ((y1 + y2) / 2, -1) if y1 != y2 else (y1 + high / 2, 1)
        lines.append(
            f'<path d="M{x1:.0f} {y1 + box[1] / 2:.0f} C{x1:.0f} {bend:.0f} {x2:.0f} {bend:.0f} '
            f'{x2:.0f} {y2 + side * box[1] / 2:.0f}"/>'
        )
    for name, (x, y) in place.items():
        boxes.append(
            f'<rect x="{x - box[0] / 2:.0f}" y="{y - box[1] / 2:.0f}" width="{box[0]}" '
            f'height="{box[1]}" rx="6" fill="#e8eefc" stroke="#3b5bdb"/>'
            f'<text x="{x:.0f}" y="{y + 5:.0f}" fill="#1b2333" text-anchor="middle">{name}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {high * len(rows)}" '
        'font-family="sans-serif" font-size="14"><g fill="none" stroke="#8a94a6" opacity=".7">'
        + "".join(lines)
        + f"</g>{''.join(boxes)}</svg>"
    )


def benchmarks() -> None:
    """The newest row of every figure, what falls short first, and where it was measured."""
    figures = importlib.import_module("figures")
    machines = set()
    for path in sorted(figures.RESULTS.glob("*.json")):
        machines |= {row["machine"] for row in json.loads(path.read_text())}
    rows = figures.newest()
    parts: dict[str, list[str]] = {}
    for part, figure, _ in rows:
        sign = {"lower": "≤", "higher": "≥", "true": ""}[figure.better]
        bar = "" if figure.bar is None else f"{sign} {figures.number(figure.bar)} {figure.unit}"
        value = f"{figures.number(figure.value)} {figure.unit}"
        cells = ["ok" if figure.holds else "**short**", *map(_plain, (figure.what, value, bar))]
        parts.setdefault(part, []).append(f"| {' | '.join(cells)} |")
    short = sum(not figure.holds for _, figure, _ in rows)
    text = [
        f"{len(rows)} figures, {short} fall short of their bar. Measured on: "
        + "; ".join(sorted(machines))
        + "."
    ]
    for part, lines in parts.items():
        head = "| | what | value | bar |\n|---|---|---|---|"
        text.append(f"### {part}\n\n{head}\n" + "\n".join(lines))
    _write("figures.md", *text)
    shutil.copy(figures.RESULTS / "peers.svg", MADE)
    shutil.copy(figures.RESULTS / "peers.md", MADE / "peers.md")
    _write("coverage.svg", _coverage({figure.id: figure for _, figure, _ in rows}))


def _coverage(figures: Mapping[str, Any]) -> str:
    """How often reported intervals held the truth, beside how often they should."""
    import altair as alt
    import pandas as pd
    import vl_convert

    names = {"ate": "average lift", "gate": "segment's lift"}
    rows = []
    for name, figure in figures.items():
        if found := re.fullmatch(r"reported-(ate|gate)-(\d+)%-(\d+)", name):
            what, level, n = found.groups()
            value = float(figure.value)
            rows.append(
                {
                    "row": f"{names[what]}, {int(n):,} visitors, {level} %",
                    "coverage": value / 100 if value > 1 else value,
                    "level": int(level) / 100,
                }
            )
    base = alt.Chart(pd.DataFrame(rows)).encode(
        y=alt.Y("row:N", title=None, axis=alt.Axis(labelLimit=360))
    )
    x = alt.X("coverage:Q", scale=alt.Scale(domain=[0.6, 1]), title="share that held the truth")
    chart = base.mark_point(filled=True, size=90, color="#3b5bdb").encode(x=x)
    bar = base.mark_tick(color="#8a94a6", thickness=2, size=16).encode(x="level:Q")
    both = (bar + chart).properties(width=420, height={"step": 24})
    return vl_convert.vegalite_to_svg(both.to_dict())


def artifacts() -> None:
    """The artifacts that come with the package: what made them, and their held-out coverage."""
    shipped = importlib.import_module("pytyche_engine.calibration.shipped")
    viz = importlib.import_module("pytyche_lab.viz")
    text = []
    for name in shipped.shipped_names():
        artifact = shipped.load_shipped(name)
        made_by = ", ".join(f"{what} {version}" for what, version in artifact.versions.items())
        text.append(
            f"### {name}\n\n{artifact.n_fits} fits of {artifact.scope.n_visitors:,} visitors and "
            f"{artifact.scope.n_arms} arms: {len(artifact.scenarios)} scenarios, "
            f"{artifact.n_sims} simulations of each, seed {artifact.seed}; {made_by}; "
            f"{artifact.date[:10]}."
        )
        for quantity, what in (("ate", "average lifts"), ("gate", "segments' lifts")):
            file = f"{name}-{quantity}.svg"
            viz.plot_calibration(artifact, quantity).save(str(MADE / file))
            text.append(
                f"```{{image}} made/{file}\n:alt: Held-out coverage of {what}, {name}, "
                "before and after recalibration, and where the truths lie among the draws\n```"
            )
    _write("artifacts.md", *text)


def routes() -> None:
    """The REST API's routes, from its own OpenAPI document."""
    document = importlib.import_module("pytyche_lab.server.openapi").document()
    rows = [
        f"| `{method.upper()} {path}` | {operation['summary']} |"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    _write("routes.md", "| route | what it does |\n|---|---|\n" + "\n".join(rows))


def _plain(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return re.sub(r"([\\\\|$*_`])", r"\\\1", html.escape(text.strip()))


def _heading(title: str) -> str:
    return f"{title}\n{'=' * len(title)}"


def _write(name: str, *parts: str) -> None:
    (MADE / name).write_text("\n\n".join(parts) + "\n")
