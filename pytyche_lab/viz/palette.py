"""The colours of charts: those of the widgets' light theme (``js/src/shared/tokens.css``)."""

SURFACE = "#ffffff"
TEXT = "#212121"
TEXT_SECONDARY = "#5c5c5c"
LINE = "#dedede"
ACCENT = "#5047c8"

ARM_COLOURS = ("#747b86", "#1a73d9", "#b84a00", "#00694a", "#cb53b2", "#9c7d00")
"""By the arm's place in the experiment; 0 is control and always grey."""

ARM_SHAPES = ("square", "circle", "diamond", "triangle-up", "triangle-down", "cross")
"""Shape repeats the colour, for those who do not see it."""

FONT = "Inter, system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"


def arm_colour(index: int) -> str:
    """The colour of the arm at a place; treatments after the fifth start over."""
    return ARM_COLOURS[_place(index, len(ARM_COLOURS))]


def arm_shape(index: int) -> str:
    """The marker of the arm at a place; treatments after the fifth start over."""
    return ARM_SHAPES[_place(index, len(ARM_SHAPES))]


def _place(index: int, n: int) -> int:
    # Grey belongs to control alone.
    return 0 if index == 0 else 1 + (index - 1) % (n - 1)
