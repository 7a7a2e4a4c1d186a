"""A chart of segments that selects with the other views of its experiment."""

from typing import TYPE_CHECKING, Any

import traitlets as t

from pytyche_engine.contracts import DesignError
from pytyche_lab.widgets.lab_widget import LabWidget

if TYPE_CHECKING:
    from pytyche_lab.viz.figure import Figure, Stacked


class SegmentChart(LabWidget, bundle="segment_chart"):
    """Shows a chart of `pytyche_lab.viz` whose segments can be selected.

    The chart is drawn here, as a picture: a chart that ran in the browser would need all of
    Vega there. Where widgets cannot run, it is what it is without one.

    Args:
        chart: one that has rows of segments.

    Raises:
        DesignError: if it shows no segments.
    """

    svg = t.Unicode().tag(sync=True)
    heading = t.Unicode().tag(sync=True)
    segments = t.Dict().tag(sync=True)
    # No echo of the browser's own clicks: it could only undo a newer one.
    selected_segment = t.Unicode(None, allow_none=True).tag(sync=True, echo_update=False)

    def __init__(self, chart: "Figure | Stacked") -> None:
        if not chart.segments:
            raise DesignError(
                f"'{chart.heading}' shows no segments that could be selected. Those that do: "
                "plot_segment_intervals, plot_policy_tree, plot_evolution."
            )
        self._chart = chart
        super().__init__(
            svg=chart.svg_in_theme(),
            heading=chart.heading,
            segments={segment["id"]: segment["words"] for segment in chart.segments},
        )

    def summary(self) -> str:
        """The chart's numbers as plain text."""
        return repr(self._chart)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        shown = super()._repr_mimebundle_(**kwargs)
        data, metadata = shown if isinstance(shown, tuple) else (shown, {})
        # The picture says more than a table of its words would.
        del data["text/html"]
        return data | self._chart.picture(), metadata
