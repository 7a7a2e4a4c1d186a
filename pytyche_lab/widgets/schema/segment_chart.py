"""What a chart of segments shows."""

from typing import TypedDict


class SegmentChartTraits(TypedDict):
    """Synced traits of `SegmentChart`. The browser writes `selected_segment`.

    `segments` is what is said of each segment that has a row in the picture, by id.
    """

    svg: str
    heading: str
    segments: dict[str, str]
    selected_segment: str | None
