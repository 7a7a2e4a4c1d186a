"""What this installation has, in the lines that the tutorial shows."""

import html
from dataclasses import dataclass
from importlib.metadata import version


@dataclass(frozen=True, repr=False)
class SetupReport:
    """Versions and devices.

    Attributes:
        pytyche_lab: version of this package.
        bartz: version of the tree sampler.
        devices: JAX devices, e.g. ``("cpu:0",)``.
        cuda: whether one of them is a CUDA device.
        calibration_artifacts: names of the bundled calibration artifacts.
    """

    pytyche_lab: str
    bartz: str
    devices: tuple[str, ...]
    cuda: bool
    calibration_artifacts: tuple[str, ...]

    def lines(self) -> tuple[str, ...]:
        """The report, a line a fact."""
        return (
            f"pytyche_lab {self.pytyche_lab}",
            f"bartz {self.bartz}",
            f"JAX devices: {', '.join(self.devices)}",
            f"CUDA available: {self.cuda}",
            f"calibration artifacts: {', '.join(self.calibration_artifacts) or '(none bundled)'}",
        )

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def check_setup() -> SetupReport:
    """Look up versions and devices. It starts JAX; nothing is printed."""
    import jax

    devices = jax.devices()
    return SetupReport(
        pytyche_lab=version("pytyche-lab"),
        bartz=version("bartz"),
        devices=tuple(f"{'cuda' if d.platform == 'gpu' else d.platform}:{d.id}" for d in devices),
        cuda=any(d.platform == "gpu" for d in devices),
        calibration_artifacts=(),
    )
