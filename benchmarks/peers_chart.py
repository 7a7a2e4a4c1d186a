"""The comparison with peers as a table and a chart: ``python benchmarks/peers_chart.py``.

Reads the newest figures of the sampler; writes ``results/peers.md`` and ``results/peers.svg``.
Every row is ours over the peer's, so that below 1 is better, whatever the figure's own sense.
"""

import altair as alt
import pandas as pd
import vl_convert
from figures import RESULTS, Figure, newest

from pytyche_lab.viz import palette
from pytyche_lab.viz.figure import figure

RATIOS = (
    ("bartz, one sweep of as many trees", "CPU time, 100,000 visitors", "step-ratio-100000"),
    ("bartz, one sweep of as many trees", "CPU time, 5,000 visitors", "step-ratio-5000"),
    ("stochtree, two BCFs", "time of the fit", "stochtree-time-ratio"),
    ("stochtree, two BCFs", "CPU time of the fit", "stochtree-cpu-ratio"),
    ("stochtree, two BCFs", "time, nothing compiled before", "stochtree-time-ratio-cold"),
    ("stochtree, two BCFs", "peak memory", "stochtree-memory-ratio"),
    ("stochtree, two BCFs", "CATE RMSE, strong effects", "stochtree-cate-rmse-ratio-0.5"),
    ("stochtree, two BCFs", "CATE RMSE, weak effects", "stochtree-cate-rmse-ratio-0.1"),
    ("pytyche, first round", "time", "pytyche-first-round-ratio"),
    ("pytyche, first round", "CPU time", "pytyche-first-round-cpu-ratio"),
    ("pytyche, first round", "time, nothing compiled before", "pytyche-first-round-ratio-cold"),
    ("pytyche, first round", "peak memory", "pytyche-first-round-memory-ratio"),
)
"""Peer, what is compared, and the figure that says it."""

COVERAGE = ("stochtree-ate-covered", "stochtree-segments-covered")


def ratios(found: dict[str, Figure]) -> pd.DataFrame:
    """One row a comparison that was measured: ours over the peer's."""
    rows = []
    for peer, what, name in RATIOS:
        if (one := found.get(name)) is None:
            continue
        value = float(one.value) if one.better == "lower" else 1 / float(one.value)
        rows.append(
            {"row": f"{peer}: {what}", "ratio": value, "better": value <= 1, "end": max(value, 1)}
        )
    return pd.DataFrame(rows)


def markdown(rows: pd.DataFrame, found: dict[str, Figure]) -> str:
    """The ratios, and whose intervals hold the truth how often."""
    lines = ["| ours over the peer's | ratio |", "|---|---|"]
    lines += [f"| {r['row']} | {r['ratio']:.2g} |" for r in rows.to_dict("records")]
    for name in COVERAGE:
        ours, theirs = found.get(f"{name}-ours"), found.get(f"{name}-theirs")
        if ours and theirs:
            lines.append(f"| {ours.what}; stochtree's {theirs.value:.2f} | {ours.value:.2f} |")
    return "\n".join(lines) + "\n"


def chart(rows: pd.DataFrame) -> alt.LayerChart:
    """Bars from 1 on a logarithmic scale."""
    y = alt.Y("row:N", sort=None, title=None, axis=alt.Axis(labelLimit=420))
    scale = alt.Scale(type="log", domain=[0.01, 10])
    axis = alt.Axis(format="~g", values=[0.01, 0.1, 1, 10])
    base = alt.Chart().encode(y=y)
    bars = base.mark_bar(height=12).encode(
        x=alt.X("ratio:Q", scale=scale, title="ours / peer's", axis=axis),
        x2=alt.datum(1),
        color=alt.condition(
            "datum.better", alt.value(palette.ACCENT), alt.value(palette.ARM_COLOURS[2])
        ),
    )
    numbers = base.mark_text(align="left", dx=6).encode(
        x="end:Q", text=alt.Text("ratio:Q", format=".2g")
    )
    return figure(
        rows,
        [bars, numbers],
        title="Beside the peers",
        subtitle="Ours over the peer's on the same data and machine; left of 1 is better",
        words="\n".join(f"{r['row']}: {r['ratio']:.2g}" for r in rows.to_dict("records")),
        row_height=22,
    )


if __name__ == "__main__":
    measured = {one.id: one for part, one, _ in newest() if part == "sampler"}
    frame = ratios(measured)
    if frame.empty:
        raise SystemExit("No comparison has been measured yet; run benchmarks/bench_peers.py.")
    (RESULTS / "peers.md").write_text(markdown(frame, measured))
    (RESULTS / "peers.svg").write_text(vl_convert.vegalite_to_svg(chart(frame).to_dict()))
    print(markdown(frame, measured))
