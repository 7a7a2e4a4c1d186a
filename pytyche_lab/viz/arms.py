"""The lift of each treatment as intervals on one scale."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from pytyche_engine.contracts.decisions import Comparison
from pytyche_engine.contracts.money import probability, signed
from pytyche_lab.viz import palette
from pytyche_lab.viz.figure import Figure, figure
from pytyche_lab.viz.intervals import arm_colour, interval_marks, interval_words
from pytyche_lab.viz.rows import row_axis


def plot_arm_intervals(
    comparisons: Sequence[Comparison],
    *,
    currency: str = "$",
    calibrated: bool = False,
    converged: bool = True,
) -> Figure:
    """Each treatment's lift over control and its 80 % interval, on one scale with zero drawn.

    Args:
        comparisons: e.g. ``round.analysis.comparisons``.
        currency: symbol of the money unit.
        calibrated: whether the intervals were recalibrated; they are drawn dashed if not.
        converged: whether the fit converged; said in words if not.

    Returns:
        An Altair chart. Its ``data`` has a row a treatment: arm, control, mean, low, high,
        observed, aipw (money per visitor), p_positive, claim.
    """
    data = pd.DataFrame(
        {
            "arm": [c.treatment for c in comparisons],
            "control": [c.control for c in comparisons],
            "mean": [c.lift.mean for c in comparisons],
            "low": [c.lift.low for c in comparisons],
            "high": [c.lift.high for c in comparisons],
            "observed": [c.observed_lift for c in comparisons],
            "aipw": [c.aipw_lift for c in comparisons],
            "p_positive": [probability(c.probability_positive) for c in comparisons],
            "claim": [c.claim_level.label for c in comparisons],
        }
    )
    arms = [*dict.fromkeys(data["control"]), *data["arm"]]
    unit = f"lift in revenue per visitor against control, {currency}"
    label = interval_words(calibrated=calibrated, converged=converged)
    base = alt.Chart().encode(
        y=row_axis("arm", limit=220),
        color=arm_colour(arms),
        tooltip=[
            alt.Tooltip("arm:N", title="treatment"),
            alt.Tooltip("mean:Q", title=f"lift, {currency}", format="+.4f"),
            alt.Tooltip("low:Q", title="80 % interval from", format="+.4f"),
            alt.Tooltip("high:Q", title="to", format="+.4f"),
            alt.Tooltip("p_positive:N", title="P(lift > 0)"),
            alt.Tooltip("observed:Q", title="raw means", format="+.4f"),
            alt.Tooltip("aipw:Q", title="AIPW", format="+.4f"),
            alt.Tooltip("claim:N", title="claim"),
        ],
    )
    ring = (
        alt.Chart()
        .mark_point(shape="circle", size=130, color=palette.TEXT, strokeWidth=1.5, filled=False)
        .encode(y="arm:N", x="observed:Q")
    )
    words = "\n".join(
        f"{c.treatment} against {c.control}: {signed(c.lift.mean)} "
        f"[{signed(c.lift.low)}, {signed(c.lift.high)}], {c.claim_level.label}"
        for c in comparisons
    )
    return figure(
        data,
        [*interval_marks(base, arms, title=unit, calibrated=calibrated), ring],
        title="Effect by treatment",
        subtitle=f"Mean and 80 % interval, {label}; rings are raw means",
        row_height=34,
        words=f"{unit}{'' if converged else ' (unconverged)'}\n{words}",
    )
