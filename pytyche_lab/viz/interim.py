"""How the lifts settle while a fit samples."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from pytyche_engine.contracts.money import signed
from pytyche_engine.jobs import FitEvent
from pytyche_lab.viz import palette
from pytyche_lab.viz.figure import Figure, figure
from pytyche_lab.viz.intervals import arm_colour


def plot_interim(
    events: Sequence[FitEvent], *, arms: Sequence[str] = (), currency: str = "$"
) -> Figure:
    """Each treatment's lift and its 80 % interval, from event to event of a fit.

    Collect events with ``job.subscribe(events.append)``. Interim numbers support no decision.

    Args:
        events: of one job, oldest first; those without interim lifts are left out.
        arms: arm names, control first, for their colours; by default treatments in the order
            that they appear in.
        currency: symbol of the money unit.

    Returns:
        An Altair chart. Its ``data`` has a row an event and treatment: iteration, arm, mean,
        low, high (money per visitor), r_hat, ess.
    """
    data = pd.DataFrame(
        [
            {
                "iteration": event.iteration,
                "arm": lift.treatment,
                "mean": lift.mean,
                "low": lift.low,
                "high": lift.high,
                "r_hat": lift.r_hat,
                "ess": lift.ess,
            }
            for event in events
            for lift in event.interim
        ],
        columns=["iteration", "arm", "mean", "low", "high", "r_hat", "ess"],
    )
    named = list(arms) or ["control", *dict.fromkeys(data["arm"])]
    unit = f"lift in revenue per visitor against control, {currency}"
    x = alt.X("iteration:Q", title="iterations a chain", axis=alt.Axis(format=",d"))
    colour = arm_colour(named, alt.Legend(title=None, orient="bottom", values=named[1:]))
    tooltip = [
        alt.Tooltip("arm:N", title="treatment"),
        alt.Tooltip("iteration:Q", title="iteration", format=",d"),
        alt.Tooltip("mean:Q", title=f"lift, {currency}", format="+.4f"),
        alt.Tooltip("low:Q", title="80 % interval from", format="+.4f"),
        alt.Tooltip("high:Q", title="to", format="+.4f"),
        alt.Tooltip("r_hat:Q", title="R-hat", format=".3f"),
        alt.Tooltip("ess:Q", title="ESS", format=",.0f"),
    ]
    low = alt.Y("low:Q", title=unit, axis=alt.Axis(format="+.2~f", grid=True))
    layers = [
        alt.Chart().mark_rule(color=palette.TEXT_SECONDARY).encode(y=alt.datum(0)),
        alt.Chart().mark_area(opacity=0.16).encode(x=x, y=low, y2="high:Q", color=colour),
        alt.Chart().mark_line(strokeWidth=2).encode(x=x, y="mean:Q", color=colour, tooltip=tooltip),
    ]
    last = next((event for event in reversed(events) if event.interim), None)
    words = "\n".join(
        f"{lift.treatment}: {signed(lift.mean)} [{signed(lift.low)}, {signed(lift.high)}] "
        f"after {last.iteration:,} iterations"
        for lift in (last.interim if last else ())
        if last
    )
    return figure(
        data,
        layers,
        title="Interim lifts",
        subtitle="Mean and 80 % interval of the draws so far; interim numbers support no decision",
        row_height=24,
        words=f"{unit}\n{words or 'No draws are kept yet.'}",
    ).properties(height=220)
