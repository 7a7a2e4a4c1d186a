"""What every widget of this package shares: a lock, a guard, and a stable repr."""

import html
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import anywidget

from pytyche_engine.contracts import PytycheError

STATIC = Path(__file__).parent.parent / "static"
"""Where `npm run build` in ``js/`` puts the bundles."""


class LabWidget(anywidget.AnyWidget):
    """An anywidget that may be written to from any thread.

    A subclass names its bundle: ``class FitProgress(LabWidget, bundle="fit_progress")``.
    traitlets are not safe between threads: while a message from the browser is handled,
    what another thread sets is silently not sent. So both sides take one lock.
    """

    def __init_subclass__(cls, *, bundle: str = "", **kwargs: Any) -> None:
        # traitlets subclasses a widget once more when it adds traits to it: that one inherits.
        if bundle:
            cls._esm, cls._css = _built(f"{bundle}.js"), _built(f"{bundle}.css")
        super().__init_subclass__(**kwargs)

    def __init__(self, **kwargs: Any) -> None:
        if unknown := set(kwargs) - set(self.trait_names()):
            raise TypeError(f"{type(self).__name__} has no trait {', '.join(sorted(unknown))}.")
        self._lock = threading.RLock()
        super().__init__(**kwargs)
        _answer_in_the_subshell(self.comm)
        self.on_msg(self._on_message)

    def share_lock(self, lock: "threading.RLock") -> None:
        """Take a lock in common with other views, so that one may set another."""
        self._lock = lock

    def asked(self, content: dict[str, Any]) -> None:
        """Do what a message from the browser asks for; it has to take milliseconds only.

        Raises:
            PytycheError: if it cannot be done; the browser shows the message.
        """
        raise ValueError(f"{type(self).__name__} takes no message {content.get('kind')!r}.")

    def _on_message(self, _widget: object, content: dict[str, Any], _buffers: object) -> None:
        error = None
        try:
            self.asked(content)
        except PytycheError as problem:
            error = str(problem)
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
            raise
        finally:
            # Whoever asks under a number waits, and takes silence for a kernel that is gone.
            if "ask" in content:
                self.send({"answer": content["ask"], "error": error})

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take values that the browser sent."""
        with self._lock:
            super().set_state(sync_data)

    @contextmanager
    def publish(self) -> Iterator[Self]:
        """Set traits from any thread; they are sent together when the block ends."""
        with self._lock, self.hold_sync():
            yield self

    def summary(self) -> str:
        """The widget as plain text: the same for the same content, with no address in it."""
        return type(self).__name__

    def summary_html(self) -> str:
        """The widget where widgets cannot run. Everything people typed is escaped."""
        return f"<pre>{html.escape(self.summary())}</pre>"

    def __repr__(self) -> str:
        return self.summary()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:  # closed
            return {"text/plain": self.summary(), "text/html": self.summary_html()}
        data, metadata = bundle  # its text/plain is repr(self)
        data["text/html"] = self.summary_html()
        return data, metadata


def _built(name: str) -> Path:
    path = STATIC / name
    if not path.is_file():
        raise ImportError(
            f"The widgets need {path}, which is built from js/. "
            "Run 'npm ci && npm run build' in js/, or install a built wheel."
        )
    return path


def _answer_in_the_subshell(comm: Any) -> None:
    """Let a click reach Python while a cell blocks, on ipykernel 7.4.

    7.4 hands a widget's messages to the shell that last published on its comm, which is the
    busy one; every other version leaves them in the subshell that JupyterLab chose.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _data, default: default
