"""Whether values have the shapes that the schema declares."""

from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

from pytyche_lab.widgets.schema.typescript import literals


def fits(value: Any, kind: Any) -> bool:
    """Whether a value has the declared shape, all the way down."""
    if is_typeddict(kind):
        hints = get_type_hints(kind)
        return (
            isinstance(value, dict)
            and set(value) == set(hints)
            and all(fits(value[k], hints[k]) for k in hints)
        )
    if get_origin(kind) is list:
        return isinstance(value, list) and all(fits(v, get_args(kind)[0]) for v in value)
    if kind in literals():
        return value in get_args(kind)
    if get_args(kind):
        return any(fits(value, part) for part in get_args(kind))
    # An int is a number too, a bool is not.
    if kind is float:
        return isinstance(value, float | int) and not isinstance(value, bool)
    return isinstance(value, kind)
