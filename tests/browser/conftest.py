from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import chromium
import pytest
from lab import Notebook, jupyter_lab, write_notebook
from playwright.sync_api import Browser, sync_playwright

SHOTS = Path(__file__).parents[2] / "build" / "screenshots"
Open = Callable[[Sequence[str]], Notebook]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = chromium.launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    with jupyter_lab(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture
def notebook(
    lab: tuple[str, str, Path], browser: Browser, request: pytest.FixtureRequest
) -> Iterator[Open]:
    """Opens a notebook of given cells in a page of its own."""
    address, token, root = lab
    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    context.set_default_timeout(30_000)
    opened: list[Notebook] = []

    def open_notebook(cells: Sequence[str]) -> Notebook:
        path = write_notebook(root / f"{request.node.name}.ipynb", cells)
        opened.append(Notebook(context.new_page(), address, token, path))
        return opened[-1]

    yield open_notebook
    for one in opened:
        one.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    context.close()


@pytest.fixture
def shots() -> Path:
    """Where screenshots go to be looked at; not committed."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    return SHOTS
