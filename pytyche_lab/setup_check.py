"""What this installation has, whether a fit works on it, and how to get what is missing."""

import html
import platform
import time
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pytyche_engine.contracts.errors import PytycheWarning

if TYPE_CHECKING:
    from pytyche_engine.contracts.effects import VisitorEffects
    from pytyche_engine.contracts.observations import Observations

N_VISITORS = 400
N_ARMS = 2
_SEED = 42
_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class FitCheck:
    """How a small fit went.

    Attributes:
        seconds: wall time of simulating, compiling, sampling and predicting.
        problem: what was wrong, in one line; empty if nothing was.
    """

    seconds: float
    problem: str = ""

    @property
    def line(self) -> str:
        """The outcome in one line."""
        if self.problem:
            return f"test fit: FAILED after {self.seconds:.1f} s: {self.problem}"
        return (
            f"test fit: ok, {N_VISITORS} visitors and {N_ARMS} arms in {self.seconds:.1f} s, "
            "compile included"
        )


@dataclass(frozen=True, repr=False)
class SetupReport:
    """Versions, devices, a test fit, and what is missing.

    Attributes:
        pytyche_lab: version of this package.
        bartz: version of the tree sampler.
        devices: JAX devices, e.g. ``("cpu:0",)``; empty if JAX finds none that works.
        cuda: whether one of them is a CUDA device.
        calibration_artifacts: names of the bundled calibration artifacts.
        jax: version of JAX.
        python: version of Python.
        fit: how a small fit went.
        missing: what is not there, and how to get it, a sentence each.
    """

    pytyche_lab: str
    bartz: str
    devices: tuple[str, ...]
    cuda: bool
    calibration_artifacts: tuple[str, ...]
    jax: str
    python: str
    fit: FitCheck
    missing: tuple[str, ...]

    def lines(self) -> tuple[str, ...]:
        """The report, a line a fact."""
        return (
            f"pytyche_lab {self.pytyche_lab}",
            f"bartz {self.bartz}",
            f"JAX devices: {', '.join(self.devices) or '(none)'}",
            f"CUDA available: {self.cuda}",
            f"calibration artifacts: {', '.join(self.calibration_artifacts) or '(none bundled)'}",
            f"jax {self.jax}, Python {self.python}",
            self.fit.line,
            *(f"missing: {sentence}" for sentence in self.missing),
        )

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def check_setup() -> SetupReport:
    """Look up versions and devices, and run a small fit. Nothing is printed or raised.

    The fit is simulated data through the same code as any other, with a fixed seed. Most of
    its time is compilation, which later processes find in the cache.
    """
    from pytyche_engine.calibration import shipped_names

    devices, no_devices = _devices()
    cuda = any(name.startswith("cuda") for name in devices)
    return SetupReport(
        pytyche_lab=version("pytyche-lab"),
        bartz=version("bartz"),
        devices=devices,
        cuda=cuda,
        calibration_artifacts=shipped_names(),
        jax=version("jax"),
        python=platform.python_version(),
        fit=FitCheck(0.0, no_devices) if no_devices else _check_fit(),
        missing=_missing(cuda=cuda),
    )


def _devices() -> tuple[tuple[str, ...], str]:
    """Names of the devices, and what is wrong where JAX cannot start any."""
    import jax

    try:
        found = jax.devices()
    except RuntimeError as error:  # e.g. a GPU plugin that does not match its driver
        return (), _one_line(error)
    return tuple(f"{'cuda' if d.platform == 'gpu' else d.platform}:{d.id}" for d in found), ""


def _check_fit() -> FitCheck:
    started = time.monotonic()
    try:
        problem = _fit_problem()
    except Exception as error:  # noqa: BLE001 - whatever it is belongs into the report
        problem = _one_line(error)
    return FitCheck(time.monotonic() - started, problem)


def _fit_problem() -> str:
    """Fit a few simulated visitors; what is wrong with the result, or ``""``."""
    from pytyche_engine.allocation import cold_start
    from pytyche_engine.bcf import Settings, fit
    from pytyche_engine.contracts.door import read_round
    from pytyche_engine.sources import simulated_experiment_generator

    source = simulated_experiment_generator(K=N_ARMS, seed=_SEED, baseline_rate=0.3, n_nuisance=1)
    plan = cold_start(source.arms, N_VISITORS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PytycheWarning)  # notices about data that nobody gave
        observations = read_round(source(0, plan)[0], columns=source.columns, arms=source.arms)
        settings = Settings(
            num_trees_mu=10,
            num_trees_tau=5,
            num_chains=1,
            num_warm_up=20,
            min_draws=20,
            max_draws=20,
            thin=1,
        )
        posterior = fit(observations, settings=settings, seed=_SEED)
        return implausible(posterior.predict(observations.features), observations)


def implausible(effects: "VisitorEffects", observations: "Observations") -> str:
    """Why estimates cannot be those of these data, or ``""``. The limits are wide."""
    estimates = (effects.conversion, effects.severity, effects.rpv, effects.cate)
    if not all(np.isfinite(values).all() for values in estimates):
        return "some estimates are not finite"
    rate = float(np.mean(observations.revenue > 0))
    rpv = float(np.mean(observations.revenue))
    found_rate, found_rpv = float(effects.conversion.mean()), float(effects.rpv.mean())
    if abs(found_rate - rate) > 0.1:
        return f"conversion is estimated as {found_rate:.3f} where {rate:.3f} was observed"
    if not rpv / 2 < found_rpv < rpv * 2:
        return f"RPV is estimated as {found_rpv:.2f} where {rpv:.2f} was observed"
    return ""


def _missing(*, cuda: bool) -> tuple[str, ...]:
    """What is not there and how to get it."""
    sentences = []
    if not cuda and _NVIDIA_DRIVER.exists():
        sentences.append(
            "JAX does not use the NVIDIA GPU of this machine; "
            'pip install "pytyche-lab[gpu]" and restart.'
        )
    elif not cuda:
        sentences.append(
            "no CUDA device; fits run on the CPU. On a Linux machine with an NVIDIA GPU, "
            'pip install "pytyche-lab[gpu]".'
        )
    try:
        from pytyche_lab.widgets import FitProgress, RoundDashboard  # noqa: F401
    except ImportError as error:
        sentences.append(f"widgets; {_one_line(error)}")
    if find_spec("jupyterlab") is None:
        sentences.append('JupyterLab; pip install "pytyche-lab[lab]".')
    return tuple(sentences)


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
