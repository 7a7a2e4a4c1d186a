"""A chart that shows itself where there is no network and no kernel."""

from typing import Any

import altair as alt
import pandas as pd
import vl_convert

from pytyche_lab.viz import palette

# JupyterLab 4 renders Vega-Lite 5 by itself; Altair's own default fetches a script from a CDN.
# The marks used here are the same in 5 and 6.
_LAB_MIME = "application/vnd.vegalite.v5+json"
_LAB_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"

_PANEL = 260
"""Width and height of one of several panels, pixels."""

_CONFIG: dict[str, Any] = {
    "background": palette.SURFACE,
    "padding": 12,
    "font": palette.FONT,
    "view": {"stroke": None},
    "axisY": {"labelAlign": "right", "grid": False},
    "legend": {"labelFontSize": 12, "labelColor": palette.TEXT, "offset": 16},
    "title": {
        "anchor": "start",
        "fontSize": 15,
        "fontWeight": 600,
        "color": palette.TEXT,
        "subtitleColor": palette.TEXT_SECONDARY,
        "subtitleFontSize": 12,
        "subtitlePadding": 4,
        "offset": 12,
    },
    "axis": {
        "labelColor": palette.TEXT,
        "titleColor": palette.TEXT_SECONDARY,
        "titleFontWeight": 400,
        "titleFontSize": 12,
        "labelFontSize": 12,
        "gridColor": palette.LINE,
        "domain": False,
        "ticks": False,
        "labelPadding": 8,
        "labelOverlap": True,
        "labelFlush": False,
    },
}


class _Shown:
    """Shows a chart in a notebook as an interactive one, and as a picture where it cannot run."""

    description: Any

    def to_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return super().to_dict(*args, **kwargs)  # type: ignore[misc]  # Altair's

    def __repr__(self) -> str:
        return str(self.description)

    def _repr_mimebundle_(self, *_args: object, **_kwargs: object) -> dict[str, Any]:
        return _bundle(self.to_dict(), repr(self))


def _bundle(spec: dict[str, Any], words: str) -> dict[str, Any]:
    # The reader's font may be wider than the one that the picture is measured with.
    svg = vl_convert.vegalite_to_svg(spec).replace("<svg ", '<svg style="overflow: visible" ', 1)
    return {
        _LAB_MIME: spec | {"$schema": _LAB_SCHEMA},
        "image/svg+xml": svg,
        "text/plain": words,
    }


class Figure(_Shown, alt.LayerChart):
    """An Altair layer chart; ``data`` is the frame of what is drawn.

    Every method of Altair works on it (``properties``, ``interactive``, ``save``). In a
    notebook it shows as an interactive chart, and as a picture where that cannot run.
    """


class Stacked(_Shown, alt.VConcatChart):
    """Several charts over one another; ``data`` is the frame of what is drawn in all of them."""


class SideBySide(_Shown, alt.HConcatChart):
    """Several charts side by side, each with its own data."""


def stacked(
    data: pd.DataFrame, charts: list[alt.HConcatChart], *, title: str, subtitle: str, words: str
) -> Stacked:
    """Put charts over one another.

    Args:
        data: what is drawn, one row a mark.
        charts: from top to bottom, each with rows of its own from ``data``.
        title: what is shown.
        subtitle: how to read it.
        words: the numbers as text, for a terminal and for screen readers.
    """
    made = Stacked(data=data, vconcat=charts)
    return made.properties(
        title={"text": title, "subtitle": subtitle},
        description=f"{title}\n{words}",
        config=_CONFIG,
        spacing=18,
    )


def figure(
    data: pd.DataFrame,
    layers: list[alt.Chart],
    *,
    title: str,
    subtitle: str,
    words: str,
    row_height: int,
) -> Figure:
    """Lay marks over one another.

    Args:
        data: what is drawn, one row a mark.
        layers: the marks, encoded on columns of ``data``.
        title: what is shown.
        subtitle: how to read it, with the unit where an axis does not say it.
        row_height: pixels between rows.
        words: the chart's numbers as text, for a terminal and for screen readers.
    """
    chart = Figure(data=data, layer=layers)
    return chart.properties(
        title={"text": title, "subtitle": subtitle},
        description=f"{title}\n{words}",
        width=440,
        height={"step": row_height},
        config=_CONFIG,
    )


def panel(*layers: alt.Chart) -> alt.LayerChart:
    """A square panel of marks over one another, each with its own data."""
    chart = alt.LayerChart(layer=list(layers))
    return chart.properties(width=_PANEL, height=_PANEL)


def side_by_side(
    charts: list[alt.LayerChart], *, title: str, subtitle: str, words: str
) -> SideBySide:
    """Charts side by side, under one title.

    Args:
        charts: the panels, each with its data.
        title: what is shown.
        subtitle: how to read it.
        words: the numbers as text.
    """
    return SideBySide(hconcat=charts).properties(
        title={"text": title, "subtitle": subtitle},
        description=f"{title}\n{words}",
        config=_CONFIG,
    )
