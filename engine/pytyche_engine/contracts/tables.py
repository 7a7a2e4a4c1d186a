"""Small tables as plain text and as HTML. What people typed is escaped."""

import html
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, repr=False)
class Table:
    """Columns and rows of ready-made text.

    Attributes:
        columns: their heads.
        rows: the cells of each row.
        caption: what must be known to read the numbers, a line above them; often nothing.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    caption: str = ""

    def text(self) -> str:
        """As a Markdown table with aligned columns, readable in a terminal."""
        cells = [self.columns, *self.rows]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]

        def line(row: Sequence[str]) -> str:
            padded = (text.ljust(width) for text, width in zip(row, widths, strict=True))
            return "| " + " | ".join(padded) + " |"

        ruler = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
        above = [self.caption] if self.caption else []
        return "\n".join([*above, line(self.columns), ruler, *map(line, self.rows)])

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()

    def html(self) -> str:
        """As an HTML table."""
        # JupyterLab aligns the cells of tables to the right, which suits numbers only.
        left = 'style="text-align: left"'
        head = "".join(f"<th {left}>{html.escape(c)}</th>" for c in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td {left}>{html.escape(c)}</td>" for c in row) + "</tr>"
            for row in self.rows
        )
        above = (
            f'<caption style="caption-side: top; text-align: left">{html.escape(self.caption)}'
            "</caption>"
            if self.caption
            else ""
        )
        return (
            f'<table class="pytyche">{above}<thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table>"
        )
