"""How often intervals hold the truth, before and after recalibration."""

import altair as alt
import numpy as np
import pandas as pd

from pytyche_engine.calibration import CalibrationArtifact, CalibrationError, ecdf_band
from pytyche_lab.viz import palette
from pytyche_lab.viz.figure import SideBySide, panel, side_by_side

_NAMES = {
    "ate": "average effects",
    "gate": "effects in the segments found",
    "rpv": "revenue per visitor of an arm",
    "cate": "effects on single visitors",
    "value": "what targeting is worth",
}
_WHEN = alt.Color(
    "when:N",
    scale=alt.Scale(
        domain=["before", "after"], range=[palette.TEXT_SECONDARY, palette.arm_colour(1)]
    ),
    legend=alt.Legend(title=None, orient="bottom"),
)
_DASH = alt.StrokeDash(
    "when:N", scale=alt.Scale(domain=["before", "after"], range=[[4, 3], [1, 0]]), legend=None
)


def plot_calibration(artifact: CalibrationArtifact, quantity: str = "ate") -> SideBySide:
    """Coverage by level, and where truths lie among the draws, on held-out scenarios.

    On the left, how often intervals of each level held the truth: honest ones lie on the
    diagonal. On the right, the ECDF of the truths' places among the draws, less what it would be
    if they were uniform, with a band that it leaves with probability 5 % if they are; one
    interval a fit, because those of one fit go together.

    Args:
        artifact: with its results.
        quantity: ``"ate"``, ``"gate"``, ``"rpv"``, ``"cate"`` or ``"value"``.

    Raises:
        CalibrationError: if the artifact has no results, or none of this quantity.
    """
    if artifact.results is None:
        raise CalibrationError(
            "This artifact came from an experiment's folder, without its results; load the "
            "original to plot it."
        )
    table = artifact.coverage[artifact.coverage["quantity"] == quantity]
    if table.empty:
        known = ", ".join(artifact.coverage["quantity"].unique())
        raise CalibrationError(f"The artifact says nothing of '{quantity}'; it has {known}.")
    words = "\n".join(
        f"{row['level']:.1%} intervals: {row['before']:.1%} before, {row['after']:.1%} after"
        for row in table.to_dict("records")
    )
    return side_by_side(
        [_curve(table), _ecdf(artifact.results, quantity)],
        title=f"Calibration of {_NAMES.get(quantity, quantity)}",
        subtitle=f"{artifact.name}, {artifact.n_fits} fits, scenarios held out; dashed: before",
        words=words,
    )


def _curve(table: pd.DataFrame) -> alt.LayerChart:
    data = table.melt(
        id_vars=["level", "n_intervals"],
        value_vars=["before", "after"],
        var_name="when",
        value_name="coverage",
    )
    low = min(0.5, float(data["coverage"].min()))
    scale = alt.Scale(domain=[low, 1.0], nice=False)
    axis = alt.Axis(format=".0%", tickCount=5)
    x = alt.X("level:Q", title="level of the interval", scale=scale, axis=axis)
    y = alt.Y("coverage:Q", title="held the truth", scale=scale, axis=axis)
    tooltip = [
        alt.Tooltip("when:N", title="recalibration"),
        alt.Tooltip("level:Q", format=".1%"),
        alt.Tooltip("coverage:Q", title="held the truth", format=".1%"),
        alt.Tooltip("n_intervals:Q", title="intervals"),
    ]
    diagonal = (
        alt.Chart(pd.DataFrame({"level": [low, 1.0], "coverage": [low, 1.0]}))
        .mark_line(color=palette.LINE)
        .encode(x=x, y=y)
    )
    base = alt.Chart(data).encode(x=x, y=y, color=_WHEN, tooltip=tooltip)
    lines = base.mark_line().encode(strokeDash=_DASH)
    return panel(diagonal, lines, base.mark_point(filled=True, size=40))


def _ecdf(results: pd.DataFrame, quantity: str) -> alt.LayerChart:
    mine = results[results["quantity"] == quantity]
    mine = mine.groupby(["scenario", "sim"], sort=False).first()
    place, low, high = ecdf_band(len(mine))
    band = pd.DataFrame({"place": place, "low": low - place, "high": high - place})
    lines = [
        pd.DataFrame(
            {
                "place": place,
                "difference": np.searchsorted(
                    np.sort(mine[f"pit_{when}"].to_numpy()), place, side="right"
                )
                / len(mine)
                - place,
                "when": when,
            }
        )
        for when in ("before", "after")
    ]
    x = alt.X("place:Q", title="truth's place among the draws", axis=alt.Axis(tickCount=5))
    return panel(
        alt.Chart(band)
        .mark_area(color=palette.LINE, opacity=0.6)
        .encode(x=x, y=alt.Y("low:Q", title="ECDF less uniform"), y2="high:Q"),
        alt.Chart(pd.concat(lines))
        .mark_line()
        .encode(x=x, y="difference:Q", color=_WHEN, strokeDash=_DASH),
    )
