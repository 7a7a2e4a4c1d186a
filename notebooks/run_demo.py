"""Runs a notebook in the terminal and writes it as a page that needs no kernel.

    python notebooks/run_demo.py [NOTEBOOK [PAGE]]

Every cell runs once, in this process: progress bars and rounds are drawn in the terminal, and
the same outputs go into the page.
"""

import base64
import io
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any, TextIO

import nbformat
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbconvert import HTMLExporter
from rich.console import Console
from rich.text import Text

from pytyche_engine.experiment import Round, RoundAnalysis
from pytyche_lab.terminal import PROGRESS_THREAD, print_analysis, print_round
from pytyche_lab.widgets import RoundDashboard

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "notebooks" / "01_first_adaptive_experiment.ipynb"
PAGE = ROOT / "demo.html"
WIDGET = "application/vnd.jupyter.widget-view+json"
STYLE = """<style>
table.pytyche { font-variant-numeric: tabular-nums; }
table.pytyche td:not(:first-child):not(:last-child) { white-space: nowrap; }
.jp-OutputArea-output { overflow-x: auto; }
.jp-RenderedText pre { word-break: normal; overflow-wrap: anywhere; }
</style>
"""
"""Numbers are not broken, words only where they do not fit."""


class Recorder(io.TextIOBase):
    """Passes text on to the terminal and keeps what the cells themselves print."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self.kept = io.StringIO()

    def write(self, text: str) -> int:
        """Pass on, and keep what the main thread writes."""
        # Progress bars are drawn by other threads; they belong in the terminal only.
        if threading.current_thread() is threading.main_thread():
            self.kept.write(text)
        return self._terminal.write(text)

    def flush(self) -> None:
        """Flush the terminal."""
        self._terminal.flush()

    def isatty(self) -> bool:
        """Whether the terminal is one."""
        return self._terminal.isatty()


def run_cell(shell: InteractiveShell, source: str, console: Console) -> tuple[list[Any], bool]:
    """Run a cell; its outputs for the notebook, and whether it ended well."""
    out, err = Recorder(sys.__stdout__), Recorder(sys.__stderr__)  # type: ignore[arg-type]  # a script has both
    values: list[Any] = []
    shell.display_trap.hook = values.append  # what a cell's last line gives
    sys.stdout, sys.stderr = out, err
    try:
        with capture_output(stdout=False, stderr=False) as captured:
            ran = shell.run_cell(source, store_history=True)
            for thread in threading.enumerate():
                if thread.name == PROGRESS_THREAD:
                    thread.join()
    finally:
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    outputs = [
        nbformat.v4.new_output("stream", name=name, text=recorder.kept.getvalue())
        for name, recorder in (("stdout", out), ("stderr", err))
        if recorder.kept.getvalue()
    ]
    shown = [(o.data, o.metadata) for o in captured.outputs]
    outputs += [
        nbformat.v4.new_output("display_data", data=drawable(data), metadata=metadata or {})
        for data, metadata in shown
    ]
    results = [value for value in values if value is not None]
    count = shell.execution_count - 1
    for value in results:
        data, metadata = shell.display_formatter.format(value)
        kept = {"data": drawable(data), "metadata": metadata, "execution_count": count}
        outputs.append(nbformat.v4.new_output("execute_result", **kept))
    for data, _ in shown:
        console.print(Text(data.get("text/plain", "")), soft_wrap=True)
    for value in results:
        print_value(value, console)
    return outputs, ran.success


def print_value(value: Any, console: Console) -> None:
    """What a cell's last line gives, as it looks best in a terminal."""
    match value:
        case Round():
            print_round(value, console)
        case RoundAnalysis():
            print_analysis(value, console)
        case RoundDashboard():
            console.print(Text("In JupyterLab: the round above as a dashboard."))
        case _:
            console.print(Text(repr(value)), soft_wrap=True)


def print_warning(message: Warning | str, category: type[Warning], *_where: Any) -> None:
    """What a warning says, without the line of code that it came from."""
    print(f"{category.__name__}: {message}", file=sys.stderr)


def drawable(data: dict[str, Any]) -> dict[str, Any]:
    """An output without what needs a kernel: a widget cannot be drawn then, its HTML can."""
    return {
        kind: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for kind, value in data.items()
        if kind != WIDGET
    }


def main(notebook: Path, page: Path) -> int:
    """Run every cell, write the page; 1 if a cell failed."""
    console = Console(highlight=False)
    warnings.showwarning = print_warning  # type: ignore[assignment]  # the documented hook
    nb = nbformat.read(notebook, as_version=4)
    shell = InteractiveShell.instance(colors="nocolor")
    started = time.monotonic()
    ok = True
    for count, cell in enumerate(nb.cells, 1):
        if cell.cell_type == "markdown" and cell.source.startswith("#"):
            console.print(Text(f"\n{cell.source.splitlines()[0].lstrip('# ')}", style="bold"))
        if cell.cell_type != "code":
            continue
        console.print(
            Text("\n".join(f">>> {line}" for line in cell.source.splitlines())), soft_wrap=True
        )
        cell.outputs, ok = run_cell(shell, cell.source, console)
        cell.execution_count = shell.execution_count - 1
        if not ok:
            console.print(Text(f"Cell {count} failed; the page holds what ran until then."))
            break
    html, _ = HTMLExporter(template_name="lab").from_notebook_node(nb)
    page.write_text(html.replace("</head>", f"{STYLE}</head>", 1), encoding="utf-8")
    console.print(Text(f"\n{page.name} written after {time.monotonic() - started:.0f} s"))
    return 0 if ok else 1


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    sys.exit(main(*given, *(NOTEBOOK, PAGE)[len(given) :]))
