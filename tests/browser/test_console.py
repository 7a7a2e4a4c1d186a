"""The console in JupyterLab: create, launch, observations over REST, the alarm, stop."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe import violations
from conftest import Open
from lab import jupyter_lab
from playwright.sync_api import Browser, Locator, expect

HOSTILE = "<img src=x onerror=window.hacked=1>"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    """A server of its own: other tests' experiments are in the registry of theirs."""
    with jupyter_lab(tmp_path_factory.mktemp("console")) as running:
        yield running


def post(address: str, token: str, path: str, body: object) -> None:
    request = urllib.request.Request(  # noqa: S310
        f"{address}/v1/admin/experiments{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"token {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        assert answer.status == 201


def experiment_id(address: str, token: str) -> str:
    request = urllib.request.Request(  # noqa: S310
        f"{address}/v1/admin/experiments", headers={"Authorization": f"token {token}"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return str(json.load(answer)["experiments"][0]["id"])


def fill_in(console: Locator) -> None:
    console.get_by_role("button", name="New experiment").first.click()
    console.get_by_test_id("name").fill("Checkout badge copy")
    console.get_by_test_id("hypothesis").fill("A trust badge lifts checkout completion.")
    console.get_by_label("Variant name").nth(1).fill(HOSTILE)
    console.locator("input[data-weight]").nth(1).fill("45")


def test_a_test_from_draft_to_stop(notebook: Open, lab: tuple[str, str, Path], shots: Path) -> None:
    address, token, _ = lab
    opened = notebook(["%load_ext pytyche_lab\n%pytyche console"])
    opened.run(0, 60)
    console = opened.output(0).get_by_test_id("console")
    expect(console.get_by_test_id("empty")).to_be_visible()

    fill_in(console)
    expect(console.get_by_test_id("weight-total")).to_have_text("95%")
    launch = console.get_by_role("button", name="Launch")
    expect(launch).to_be_disabled()
    console.screenshot(path=shots / "console-form.png")
    console.get_by_role("button", name="Scale all to 100%").click()
    expect(console.get_by_test_id("weight-total")).to_have_text("100%")
    # JupyterLab would take this key of a focused button to insert a cell.
    launch.press("b")
    launch.click()
    drawer = console.get_by_test_id("drawer")
    expect(drawer.get_by_text("Running")).to_be_visible()

    counts = {
        "control": {"exposures": 6000, "conversions": 300},
        HOSTILE: {"exposures": 4000, "conversions": 240},
    }
    one = experiment_id(address, token)
    post(address, token, f"/{one}/observations", {"counts": counts})
    drawer.get_by_role("button", name="Analyze").click()
    alarm = drawer.get_by_test_id("srm")
    expect(alarm).to_contain_text("Seen 60.0 / 40.0 against a planned 52.6 / 47.4", timeout=60_000)
    expect(drawer.get_by_test_id("recommendation")).to_contain_text("Fix assignment first.")
    expect(drawer.get_by_text("301", exact=True)).to_be_visible()
    drawer.get_by_role("button", name="Weight history").click()
    expect(drawer.get_by_text("1 period, newest first")).to_be_visible()

    opened.page.set_viewport_size({"width": 1280, "height": 2200})
    for theme in ("Light", "Dark"):
        opened.set_theme(f"JupyterLab {theme}")
        console.screenshot(path=shots / f"console-drawer-{theme.lower()}.png")
    opened.set_theme("JupyterLab Light")
    drawer.get_by_role("button", name="Stop").click()
    expect(drawer.get_by_text("Stopped", exact=True)).to_be_visible()
    drawer.get_by_role("button", name="Close").click()
    expect(console.get_by_test_id("total-total")).to_contain_text("0 running, 1 stopped")
    console.screenshot(path=shots / "console-list.png")
    assert opened.page.evaluate("() => window.hacked") is None
    assert console.locator("img").count() == 0
    assert opened.page.locator(".jp-Notebook .jp-Cell").count() == 1, "a key inserted a cell"


def test_the_servers_page_is_the_same_console(
    browser: Browser, lab: tuple[str, str, Path], shots: Path
) -> None:
    address, token, _ = lab
    variants = [{"name": n, "traffic_weight": 0.5} for n in ("control", HOSTILE)]
    post(address, token, "", {"name": f"page {HOSTILE}", "variants": variants})
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        refused: list[str] = []
        page.on("console", lambda m, to=refused: to.append(m.text) if m.type == "error" else None)
        page.goto(f"{address}/pytyche-lab/console?token={token}")
        console = page.get_by_test_id("console")
        row = console.locator("tr", has_text="page <img")
        if scheme == "light":
            row.get_by_role("button", name="Launch").click()
        expect(row.get_by_text("Running")).to_be_visible()
        page.screenshot(path=shots / f"console-page-{scheme}.png")
        assert violations(page, "main") == []
        assert [text for text in refused if "favicon" not in text] == []
        assert console.locator("img").count() == 0
        page.close()


def test_an_adaptive_experiment_opens_in_its_cockpit(notebook: Open, shots: Path) -> None:
    name = f"adaptive {HOSTILE}"
    opened = notebook(
        [
            "import pytyche_lab as pt\n"
            "exp = pt.sequential_experiment(schedule=(600, 400), "
            f"treatments=('control', {HOSTILE!r}), name={name!r})",
            "import pytyche_lab as pt\npt.console()",
        ]
    )
    console = opened.output(1).get_by_test_id("console")
    cockpit = console.get_by_test_id("cockpit")
    row = console.locator("tr", has_text="adaptive <img")
    weight = cockpit.get_by_label("Control weight, percent")

    def open_plan() -> None:
        row.get_by_role("button", name="Open", exact=True).click()
        expect(cockpit.get_by_text("No round has run yet")).to_be_visible(timeout=60_000)
        cockpit.get_by_test_id("tab-plan").click()
        expect(weight).to_be_visible(timeout=60_000)

    opened.run(0, 60)
    opened.run(1)
    open_plan()
    assert violations(opened.page, "[data-testid=console]") == []
    console.screenshot(path=shots / "console-cockpit.png")
    weight.fill("30")
    weight.press("Enter")
    expect(cockpit.get_by_label("Explore weight, percent")).to_have_value("70.0")
    # Back in the list, and again: the same cockpit.
    console.get_by_role("button", name="All experiments").click()
    expect(row).to_be_visible()
    row.get_by_role("button", name="Open", exact=True).click()
    expect(weight).to_have_value("30.0")

    # What was edited and not accepted is there in another kernel.
    opened.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    opened.run(1, 60)
    open_plan()
    expect(weight).to_have_value("30.0")
    assert opened.page.evaluate("() => window.hacked") is None
    assert console.locator("img").count() == 0


def test_a_tile_in_the_launcher_opens_the_console(
    browser: Browser, lab: tuple[str, str, Path], shots: Path
) -> None:
    address, token, _ = lab
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{address}/lab?token={token}&reset")
    page.wait_for_function("window.jupyterapp?.restored")
    tile = page.locator(".jp-LauncherCard", has_text="Experiments")
    expect(tile).to_be_visible(timeout=60_000)
    page.screenshot(path=shots / "launcher.png")
    tile.click()
    inside = page.frame_locator("iframe[title='Experiments console']")
    expect(inside.get_by_test_id("console")).to_be_visible(timeout=60_000)
    for theme in ("Dark", "Light"):
        page.evaluate(
            "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})",
            f"JupyterLab {theme}",
        )
        expect(inside.locator("html")).to_have_attribute("data-theme", theme.lower())
        page.screenshot(path=shots / f"launcher-console-{theme.lower()}.png")
    # A second click shows the tab that is there.
    page.evaluate("() => window.jupyterapp.commands.execute('pytyche-lab:console')")
    assert page.locator("iframe[title='Experiments console']").count() == 1
    page.close()
