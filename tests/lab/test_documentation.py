"""Words of the widgets lead to parts of the documentation that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = dict(
    re.findall(r'^  (\w+): "(.+)",$', (ROOT / "js/src/shared/documentation.ts").read_text(), re.M)
)


def test_there_are_parts() -> None:
    assert len(PARTS) > 5


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_a_heading_of_a_page(part: str) -> None:
    page, _, anchor = PARTS[part].partition(".html")
    text = (ROOT / "docs" / f"{page}.md").read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    anchors = ["", *("#" + re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings)]
    assert anchor in anchors
