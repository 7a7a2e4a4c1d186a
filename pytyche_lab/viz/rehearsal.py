"""What rehearsed designs find, by the visitors they have spent."""

import altair as alt

from pytyche_engine.rehearsal import Rehearsal
from pytyche_lab.viz import palette
from pytyche_lab.viz.figure import SideBySide, panel, side_by_side


def plot_rehearsal(rehearsal: Rehearsal, power: float = 0.8) -> SideBySide:
    """Power and false graduations of each design, round after round.

    On the left, the share of runs that found the planted segment, with two standard errors and
    the power that is asked for; on the right, the share of runs with a false graduation so far.

    Args:
        rehearsal: of one or more designs.
        power: drawn as a line.
    """
    data = rehearsal.table
    data["low"] = (data["power"] - 2 * data["power_error"]).clip(0, 1)
    data["high"] = (data["power"] + 2 * data["power_error"]).clip(0, 1)
    names = list(dict.fromkeys(data["design"]))
    colour = alt.Color(
        "design:N",
        scale=alt.Scale(domain=names, range=[palette.arm_colour(i + 1) for i in range(len(names))]),
        legend=alt.Legend(title=None, orient="bottom"),
    )
    shape = alt.Shape(
        "design:N",
        scale=alt.Scale(domain=names, range=[palette.arm_shape(i + 1) for i in range(len(names))]),
        legend=alt.Legend(title=None, orient="bottom"),
    )
    x = alt.X("n_cumulative:Q", title="visitors so far", axis=alt.Axis(format=",d", tickCount=4))
    share = alt.Scale(domain=[0, 1])
    tooltip = [
        alt.Tooltip("design:N"),
        alt.Tooltip("round:O"),
        alt.Tooltip("n_cumulative:Q", title="visitors", format=",d"),
        alt.Tooltip("power:Q", format=".0%"),
        alt.Tooltip("false_graduation:Q", title="false graduation", format=".0%"),
        alt.Tooltip("regret_best_arm:Q", title="regret against the best arm", format="+.4f"),
        alt.Tooltip("runs:Q"),
    ]

    def of(column: str, title: str, *under: alt.Chart) -> alt.LayerChart:
        y = alt.Y(f"{column}:Q", title=title, scale=share, axis=alt.Axis(format=".0%"))
        base = alt.Chart(data).encode(x=x, y=y, color=colour, tooltip=tooltip)
        points = base.mark_point(filled=True, size=60).encode(shape=shape)
        return panel(*under, base.mark_line(), points)

    asked = alt.Chart().mark_rule(color=palette.TEXT_SECONDARY).encode(y=alt.datum(power))
    error = alt.Chart(data).mark_rule().encode(x=x, y="low:Q", y2="high:Q", color=colour)
    words = "\n".join(
        f"{row['design']}, round {row['round']}, {row['n_cumulative']:,} visitors: power "
        f"{row['power']:.0%}, false graduation {row['false_graduation']:.0%}"
        for row in data.to_dict("records")
    )
    return side_by_side(
        [
            of("power", "found the planted segment", asked, error),
            of("false_graduation", "had a false graduation"),
        ],
        title="Rehearsed designs",
        subtitle=f"{rehearsal.n_runs} runs each; line at power {power:.0%}",
        words=f"{rehearsal.answer(power)}\n{words}",
    )
