"""Functions that take what the engine's take, and a little more."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def extends(theirs: Callable[..., Any]) -> Callable[[F], F]:
    """Show the engine's parameters where people look for them: in ``?`` and on Shift-Tab.

    The decorated function's docstring ends where the engine's begins, and its signature has the
    engine's parameters before its own named ones.
    """

    def borrow(ours: F) -> F:
        added = inspect.signature(ours)
        own = [p for p in added.parameters.values() if p.kind is p.KEYWORD_ONLY]
        ours.__doc__ = (ours.__doc__ or "") + (theirs.__doc__ or "")
        ours.__signature__ = inspect.signature(theirs).replace(  # type: ignore[attr-defined]  # read by inspect
            parameters=[*inspect.signature(theirs).parameters.values(), *own],
            return_annotation=added.return_annotation,
        )
        return ours

    return borrow
