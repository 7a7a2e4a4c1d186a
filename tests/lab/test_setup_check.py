"""The set-up report: the tutorial's lines, a fit that really ran, and what is missing."""

import subprocess
import sys
import tomllib
from dataclasses import replace
from importlib.metadata import metadata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rounds import finished_round

import pytyche_engine.bcf
from pytyche_engine.calibration import shipped_names
from pytyche_engine.contracts.effects import VisitorEffects
from pytyche_engine.contracts.errors import FitError, PytycheWarning
from pytyche_lab import setup_check
from pytyche_lab.setup_check import FitCheck, SetupReport, check_setup, implausible

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def report() -> SetupReport:
    return check_setup()


def effects(rate: float, rpv: float, *, broken: bool = False) -> VisitorEffects:
    values = np.full((10, 3), rate)
    return VisitorEffects(
        arms=("control", "low_promo", "free_ship"),
        conversion=values,
        severity=np.full((10, 3), np.nan if broken else 20.0),
        rpv=np.full((10, 3), rpv),
        cate=np.zeros((10, 2)),
        cate_sd=np.zeros((10, 2)),
    )


def test_it_begins_with_the_tutorials_lines(report: SetupReport) -> None:
    names = [line.split()[0] for line in repr(report).splitlines()]
    assert names[:5] == ["pytyche_lab", "bartz", "JAX", "CUDA", "calibration"]
    shipped = ", ".join(shipped_names()) or "(none bundled)"
    assert report.lines()[4] == f"calibration artifacts: {shipped}"
    assert report.devices
    assert "JAX devices: " in report._repr_html_()


def test_it_names_versions_and_fits(report: SetupReport) -> None:
    assert report.jax.startswith("0.")
    assert report.python == sys.version.split()[0]
    assert report.fit.problem == ""
    assert report.fit.seconds > 0
    assert f"{report.fit.seconds:.1f} s, compile included" in repr(report)


def test_nothing_is_printed_or_warned(
    capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    assert check_setup().fit.problem == ""
    assert capfd.readouterr().out == ""
    assert not [w for w in recwarn if issubclass(w.category, PytycheWarning)]


def test_a_fit_that_fails_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_args: object, **_kwargs: object) -> None:
        raise FitError("The sampler\nleft the range <b>.")

    monkeypatch.setattr(pytyche_engine.bcf, "fit", failing)
    report = check_setup()
    assert "FitError: The sampler left the range <b>." in report.fit.problem
    (line,) = [line for line in report.lines() if line.startswith("test fit: ")]
    assert line.startswith("test fit: FAILED after ")
    assert "<b>" not in report._repr_html_()


def test_a_fit_that_says_nonsense_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    posterior = SimpleNamespace(predict=lambda _: effects(0.3, 3000.0))
    monkeypatch.setattr(pytyche_engine.bcf, "fit", lambda *_a, **_k: posterior)
    assert "RPV is estimated as 3000.00 where" in repr(check_setup())


def test_devices_that_cannot_start_are_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import jax

    def failing() -> None:
        raise RuntimeError("Unable to initialize backend 'cuda'")

    monkeypatch.setattr(jax, "devices", failing)
    report = check_setup()
    assert "JAX devices: (none)" in repr(report)
    assert "FAILED after 0.0 s: RuntimeError: Unable to initialize backend 'cuda'" in repr(report)


def test_what_counts_as_implausible() -> None:
    observations = finished_round().observations  # 10 % convert, at 20 each
    rate = float((observations.revenue > 0).mean())
    rpv = float(observations.revenue.mean())
    assert implausible(effects(rate, rpv), observations) == ""
    assert "not finite" in implausible(effects(rate, rpv, broken=True), observations)
    assert "conversion is estimated" in implausible(effects(rate + 0.2, rpv), observations)
    assert "RPV is estimated" in implausible(effects(rate, 3 * rpv), observations)


def missing(**changes: object) -> str:
    return "\n".join(setup_check._missing(**{"cuda": False, **changes}))  # type: ignore[arg-type]


def test_what_is_missing_comes_with_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(setup_check, "_NVIDIA_DRIVER", tmp_path / "version")
    assert "no CUDA device; fits run on the CPU" in missing()
    assert 'pip install "pytyche-lab[gpu]"' in missing()
    assert "CUDA" not in missing(cuda=True)
    (tmp_path / "version").touch()
    assert "JAX does not use the NVIDIA GPU of this machine" in missing()
    monkeypatch.setattr(setup_check, "find_spec", lambda _: None)
    assert 'JupyterLab; pip install "pytyche-lab[lab]".' in missing(cuda=True)


def test_widgets_that_were_not_built_are_missing(tmp_path: Path) -> None:
    code = (
        "from pytyche_lab.widgets import lab_widget; from pathlib import Path;"
        f"lab_widget.STATIC = Path({str(tmp_path)!r});"
        "from pytyche_lab import setup_check; print(setup_check._missing(cuda=True))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "widgets; ImportError: The widgets need" in out.stdout
    assert "npm run build" in out.stdout


def test_the_report_is_plain() -> None:
    report = SetupReport("1", "2", ("cuda:0",), True, (), "3", "4", FitCheck(1.25), ())
    assert "CUDA available: True" in repr(report)
    assert repr(report).endswith("test fit: ok, 400 visitors and 2 arms in 1.2 s, compile included")
    assert repr(replace(report, missing=("tea",))).endswith("missing: tea")


def test_the_gpu_extra_is_one_that_jax_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (requirement,) = project["optional-dependencies"]["gpu"]
    extra = requirement.split("[")[1].split("]")[0]
    assert extra in (metadata("jax").get_all("Provides-Extra") or [])
    pinned = next(r for r in project["dependencies"] if r.startswith("jax>="))
    assert pinned.removeprefix("jax") in requirement
