"""A chart that shows itself where there is no network and no kernel."""

import sys
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

from pytyche_lab.viz import palette

# JupyterLab 4 renders Vega-Lite 5 by itself; Altair's own default fetches a script from a CDN.
# The marks used here are the same in 5 and 6.
_LAB_MIME = "application/vnd.vegalite.v5+json"
_LAB_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"

WIDTH = 440
"""Width of a chart's plot, pixels."""

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


_TOKENS = {
    palette.SURFACE: "surface",
    palette.TEXT: "text",
    palette.TEXT_SECONDARY: "text-2",
    palette.LINE: "line",
    palette.ACCENT: "accent",
    **{colour: f"arm-{i}" for i, colour in enumerate(palette.ARM_COLOURS)},
}
"""What the widgets' style sheet calls each colour of the palette; it has one for each theme."""
_NAMES = ("datasets", "domain", "usermeta")
"""Parts of a chart that hold names, not colours."""


class _Shown:
    """Shows a chart in a notebook as an interactive one, and as a picture where it cannot run."""

    description: Any

    def to_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return super().to_dict(*args, **kwargs)  # type: ignore[misc]  # Altair's

    @property
    def heading(self) -> str:
        """The chart's title."""
        return str(self.to_dict()["title"]["text"])

    @property
    def segments(self) -> list[dict[str, str]]:
        """The segments that have a row in it: id, rule, and what the row says in words."""
        return list(self.to_dict().get("usermeta", {}).get("segments", []))

    def picture(self) -> dict[str, Any]:
        """The chart for a notebook without a kernel, by MIME type."""
        spec = self.to_dict()
        # The reader's font may be wider than the one that the picture is measured with.
        svg = vl_convert.vegalite_to_svg(spec)
        return {
            _LAB_MIME: spec | {"$schema": _LAB_SCHEMA},
            "image/svg+xml": svg.replace("<svg ", '<svg style="overflow: visible" ', 1),
            "text/plain": repr(self),
        }

    def svg_in_theme(self) -> str:
        """The chart as an SVG whose colours are variables of the widgets' style sheet."""
        return vl_convert.vegalite_to_svg(_in_theme(self.to_dict()))

    def __repr__(self) -> str:
        return str(self.description)

    def _repr_mimebundle_(self, *_args: object, **_kwargs: object) -> Any:
        # Whoever has opened no view of an experiment does not wait for the widgets to load.
        views = sys.modules.get("pytyche_lab.widgets.views")
        shown = None if views is None else views.beside(self)
        return self.picture() if shown is None else shown._repr_mimebundle_()


def _in_theme(spec: Any) -> Any:
    if isinstance(spec, dict):
        # What people named may look like a colour.
        return {k: v if k in _NAMES else _in_theme(v) for k, v in spec.items()}
    if isinstance(spec, list):
        return [_in_theme(part) for part in spec]
    token = _TOKENS.get(spec) if isinstance(spec, str) else None
    return spec if token is None else f"var(--pt-{token})"


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
        width=WIDTH,
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
