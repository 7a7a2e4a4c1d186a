"""What axe-core finds on a page."""

from lab import ROOT
from playwright.sync_api import Page

AXE = ROOT / "js/node_modules/axe-core/axe.min.js"


def violations(page: Page, selector: str) -> list[str]:
    """What axe-core finds wrong with WCAG A and AA."""
    # As text through the browser's own channel: a page's policy may refuse foreign scripts.
    page.evaluate(AXE.read_text())
    return page.evaluate(
        """async (selector) => {
            const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
            const found = await axe.run(selector, {runOnly: {type: "tag", values: tags}});
            return found.violations.map(
                (v) => `${v.id}: ${v.nodes.map((n) => n.html).join(" | ")}`);
        }""",
        selector,
    )
