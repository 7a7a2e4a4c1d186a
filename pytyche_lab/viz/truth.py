"""Estimates of segments beside what a simulation planted."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from pytyche_engine.contracts.decisions import Segment
from pytyche_engine.contracts.money import signed
from pytyche_engine.contracts.truth import GroundTruth
from pytyche_lab.viz import palette
from pytyche_lab.viz.figure import Figure, figure
from pytyche_lab.viz.intervals import arm_colour, interval_marks, interval_words


def plot_truth(
    segments: Sequence[Segment],
    features: pd.DataFrame,
    truth: GroundTruth,
    *,
    currency: str = "$",
    calibrated: bool = False,
) -> Figure:
    """Each segment's GATE and its interval, with the planted mean lift of its visitors as a ring.

    Only a simulated source knows the truth: ``frame, truth = generator(round_index, plan)``.

    Args:
        segments: e.g. ``round.analysis.all_segments``.
        features: (n rows) visitors with their features.
        truth: what was planted for them, row for row.
        currency: symbol of the money unit.
        calibrated: whether the intervals were recalibrated; they are drawn dashed if not.

    Returns:
        An Altair chart. Its ``data`` has a row a segment: segment, arm, mean, low, high, truth
        (money per visitor), held (whether the interval holds the truth), n_visitors.
        Segments without visitors among these have no row.
    """
    rows: list[dict[str, Any]] = []
    for s in segments:
        mine = s.rule.matches(features)
        if not mine.any():
            continue
        planted = float(truth.cate[mine, truth.arms.index(s.gate_arm) - 1].mean())
        gate = s.gates[s.gate_arm]
        rows.append(
            {
                "segment": s.name or (s.id if s.rule.clauses else "everyone"),
                "arm": s.gate_arm,
                "mean": gate.mean,
                "low": gate.low,
                "high": gate.high,
                "truth": planted,
                "held": bool(gate.low <= planted <= gate.high),
                "n_visitors": int(mine.sum()),
            }
        )
    columns = ["segment", "arm", "mean", "low", "high", "truth", "held", "n_visitors"]
    data = pd.DataFrame(rows, columns=columns)
    unit = f"GATE: lift in revenue per visitor against control, {currency}"
    converged = all(s.converged for s in segments)
    label = interval_words(calibrated=calibrated, converged=converged)
    base = alt.Chart().encode(
        y=alt.Y("segment:N", sort=None, title=None, scale=alt.Scale(padding=0.5)),
        color=arm_colour(truth.arms, alt.Legend(title=None, orient="bottom")),
        tooltip=[
            alt.Tooltip("segment:N", title="segment"),
            alt.Tooltip("arm:N", title="treatment"),
            alt.Tooltip("mean:Q", title=f"GATE, {currency}", format="+.4f"),
            alt.Tooltip("truth:Q", title="planted", format="+.4f"),
            alt.Tooltip("held:N", title="held by the interval"),
            alt.Tooltip("n_visitors:Q", title="visitors", format=",d"),
        ],
    )
    rings = (
        alt.Chart()
        .mark_point(shape="circle", size=150, color=palette.TEXT, strokeWidth=1.5, filled=False)
        .encode(y="segment:N", x="truth:Q")
    )
    words = "\n".join(
        f"{row['segment']}: {row['arm']} {signed(row['mean'])} "
        f"[{signed(row['low'])}, {signed(row['high'])}], planted {signed(row['truth'])}"
        for row in rows
    )
    held = int(data["held"].sum())
    return figure(
        data,
        [
            *interval_marks(
                base,
                truth.arms,
                title=unit,
                calibrated=calibrated,
                legend=alt.Legend(title=None, orient="bottom"),
            ),
            rings,
        ],
        title="Truth against estimate",
        subtitle=f"{held} of {len(data)} intervals hold the planted lift (ring); 80 %, {label}",
        row_height=34,
        words=f"{unit}{'' if converged else ' (unconverged)'}\n{words}",
    )
