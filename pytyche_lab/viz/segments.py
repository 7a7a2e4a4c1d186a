"""The effects of segments as intervals on one scale."""

import textwrap
from collections.abc import Sequence

import altair as alt
import pandas as pd

from pytyche_engine.contracts.decisions import Segment
from pytyche_engine.contracts.money import probability, signed
from pytyche_lab.viz.figure import Figure, figure
from pytyche_lab.viz.intervals import arm_colour, interval_marks, interval_words
from pytyche_lab.viz.rows import LINE_HEIGHT, label_lines, row_labels, width_of, words_beside
from pytyche_lab.viz.segment_rows import about_segments, segment_rows

_RULE_WIDTH = 38
_WIDTH = 400
"""Narrower than other charts: rules and numbers beside it have to fit into a cell's output."""
_NUMBERS_AT = _WIDTH + 12
_LEGEND = alt.Legend(title=None, orient="bottom")


def plot_segment_intervals(
    segments: Sequence[Segment], *, currency: str = "$", calibrated: bool = False
) -> Figure:
    """Each segment's GATE and its 80 % interval, on one scale with zero drawn.

    The marker's colour and shape are those of the treatment that the GATE is about. Segments
    of a fit that has not converged are labelled so.

    Args:
        segments: e.g. ``round.analysis.segments``.
        currency: symbol of the money unit.
        calibrated: whether the intervals were recalibrated; they are drawn dashed if not.

    Returns:
        An Altair chart. Its ``data`` has a row a segment: segment, rule, share, arm, gate,
        low, high (money per visitor), leader, p_best, stability, claim.
    """
    data = _rows(segments)
    arms = list(segments[0].arm_best_probabilities) if segments else []
    unit = f"GATE: lift in revenue per visitor against control, {currency}"
    converged = all(s.converged for s in segments)
    label = interval_words(calibrated=calibrated, converged=converged)
    row_height = LINE_HEIGHT * label_lines(data["name"]) + 14
    place = row_labels("name", data["name"], padding=0.5)
    tooltip = [
        alt.Tooltip("segment:N", title="segment"),
        alt.Tooltip("rule:N", title="rule"),
        alt.Tooltip("arm:N", title="treatment"),
        alt.Tooltip("gate:Q", title=f"GATE, {currency}", format="+.4f"),
        alt.Tooltip("low:Q", title="80 % interval from", format="+.4f"),
        alt.Tooltip("high:Q", title="to", format="+.4f"),
        alt.Tooltip("share:Q", title="share of visitors", format=".0%"),
        alt.Tooltip("leader:N", title="leader"),
        alt.Tooltip("p_best:N", title="P(leader best)"),
        alt.Tooltip("stability:Q", title="stability", format=".2f"),
        alt.Tooltip("claim:N", title="claim"),
    ]
    base = alt.Chart().encode(y=place, color=arm_colour(arms, _LEGEND), tooltip=tooltip)
    layers = [
        segment_rows(
            place,
            left=-width_of(data["name"]) - 22,
            right=_NUMBERS_AT + width_of(data["numbers"]) + 8,
            height=row_height - 4,
            tooltip=tooltip,
        ),
        *interval_marks(
            base, arms, title=unit, calibrated=calibrated, legend=_LEGEND, marker="gate"
        ),
        words_beside(place, "numbers", at=_NUMBERS_AT),
    ]
    said = {
        s.id: f"{s.id} ({s.rule}; {s.population_share:.0%} of visitors): {s.gate_arm} "
        f"{_numbers(s)}, {s.claim_level.label}"
        for s in segments
    }
    words = "\n".join(said.values())
    return figure(
        data,
        layers,
        title="Effect by segment",
        subtitle=f"Mean and 80 % interval, {label}",
        row_height=row_height,
        words=f"{unit}{'' if converged else ' (unconverged)'}\n{words}",
    ).properties(
        width=_WIDTH, usermeta=about_segments((s.id, s.rule, said[s.id]) for s in segments)
    )


def _numbers(segment: Segment) -> str:
    low, high = segment.gate_ci
    return f"{signed(segment.gate_estimate)} [{signed(low)}, {signed(high)}]"


def _rows(segments: Sequence[Segment]) -> pd.DataFrame:
    rows = [
        {
            "segment": s.id,
            "rule": str(s.rule),
            "share": s.population_share,
            "arm": s.gate_arm,
            "gate": s.gate_estimate,
            "low": s.gate_ci[0],
            "high": s.gate_ci[1],
            "leader": s.leader,
            "p_best": probability(s.arm_best_probabilities[s.leader]),
            "stability": s.stability_score,
            "claim": s.claim_level.label,
            "numbers": _numbers(s),
            "name": "\n".join(
                [
                    f"{s.name or s.id}  {s.population_share:.0%}",
                    *textwrap.wrap(str(s.rule), _RULE_WIDTH),
                ]
            ),
        }
        for s in segments
    ]
    return pd.DataFrame(rows)
