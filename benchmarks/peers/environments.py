"""One virtual environment for each peer, under ``.venv/peers/``, made once."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / ".venv" / "peers"


def interpreter(peer: str) -> Path:
    """The Python of a peer's environment, which is made if its requirements are not in it.

    A stamp in the environment holds the requirements it was made from.

    Raises:
        subprocess.CalledProcessError: if venv or pip fails.
    """
    requirements = HERE / f"requirements-{peer}.txt"
    folder = ENVIRONMENTS / peer
    python = folder / "bin" / "python"
    stamp = folder / "requirements-installed.txt"
    wanted = requirements.read_text()
    if not (stamp.exists() and stamp.read_text() == wanted):
        print(f"set-up: {peer} in its own environment", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        quiet = ["--quiet", "--disable-pip-version-check"]
        subprocess.run([python, "-m", "pip", "install", *quiet, "-r", requirements], check=True)
        stamp.write_text(wanted)
    return python
