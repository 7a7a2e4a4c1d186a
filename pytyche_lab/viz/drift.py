"""How lifts changed over the rounds, segment by segment."""

import altair as alt
import pandas as pd

from pytyche_engine.contracts.drift import DriftCheck
from pytyche_lab.viz.figure import Figure, figure
from pytyche_lab.viz.intervals import arm_colour, interval_marks
from pytyche_lab.viz.rows import row_axis, words_beside


def plot_drift(check: DriftCheck, *, arms: tuple[str, ...], currency: str = "$") -> Figure:
    """The clearest change of each arm's lift in each segment, with its interval.

    The intervals hold for everything that was looked at together, in all rounds.

    Args:
        check: e.g. ``round.health.drift``.
        arms: arm names, control first, for their colours.
        currency: symbol of the money unit.

    Returns:
        An Altair chart. Its ``data`` has a row a segment and arm: name, segment, arm, mean, low,
        high (change in money per visitor), since (round, from 1), before, after, alarm.
    """
    data = pd.DataFrame(
        [
            {
                "name": f"{c.arm} in {c.segment}, since round {c.since + 1}",
                "segment": c.segment,
                "arm": c.arm,
                "mean": c.size.mean,
                "low": c.size.low,
                "high": c.size.high,
                "since": c.since + 1,
                "before": c.before,
                "after": c.after,
                "alarm": "alarm" if c.alarm else "within chance",
            }
            for c in check.changes
        ],
        columns=[
            *("name", "segment", "arm", "mean", "low", "high"),
            *("since", "before", "after", "alarm"),
        ],
    )
    unit = f"change of the lift in revenue per visitor, {currency}"
    base = alt.Chart().encode(
        y=row_axis("name", limit=320),
        color=arm_colour(arms),
        tooltip=[
            alt.Tooltip("segment:N", title="segment"),
            alt.Tooltip("arm:N", title="treatment"),
            alt.Tooltip("before:Q", title="lift before", format="+.4f"),
            alt.Tooltip("after:Q", title="lift since", format="+.4f"),
            alt.Tooltip("low:Q", title="change from", format="+.4f"),
            alt.Tooltip("high:Q", title="to", format="+.4f"),
            alt.Tooltip("alarm:N", title="verdict"),
        ],
    )
    words = "\n".join(c.sentence(currency) for c in check.changes)
    quiet = "; ".join(f"{arm} in {segment}" for segment, arm in check.unwatched)
    return figure(
        data,
        [
            *interval_marks(base, arms, title=unit, calibrated=True),
            words_beside("name:N", "alarm"),
        ],
        title=f"Drift up to round {check.round_index + 1}",
        subtitle="Later rounds less earlier ones; an interval that misses zero is an alarm",
        row_height=34,
        words=f"{unit}\n{words or 'Nothing was watched yet.'}"
        + (f"\nToo few converters to watch: {quiet}" if quiet else ""),
    )
