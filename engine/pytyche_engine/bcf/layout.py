"""The order of rows inside the sampler.

Converters come first, so that the severity channel is a prefix of every array. The prefix and
the whole are padded to buckets: shapes, and with them compiled code, are shared between data
sets of like size, whatever their arms' shares.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Shaped

SMALLEST_BLOCK = 128
"""Rows are padded to a multiple of this: any 128 visitors or fewer share one compiled shape.

At such sizes a sweep is all overhead, and padding costs little; compiling takes half a minute.
"""

COLUMN_BUCKET = 8
"""Columns are padded to a multiple of this."""


@dataclass(frozen=True)
class RowLayout:
    """Static shape of the sampler's rows on one device: [converters | the others].

    Attributes:
        n_rows: rows, padding included.
        n_severity_rows: length of the prefix that the severity channel lives on.
        n_arms: K.
    """

    n_rows: int
    n_severity_rows: int
    n_arms: int


def bucket(size: int, coarsest: int = SMALLEST_BLOCK) -> int:
    """The padded size of a block: the next multiple of a sixteenth of a power of two.

    At most 1/16 above ``size``, or ``coarsest`` above it if that is more.
    """
    size = max(size, 1)
    step = max(1 << max((size - 1).bit_length() - 5, 0), coarsest)
    return -(-size // step) * step


def arrange(
    converted: Bool[np.ndarray, " n"], n_arms: int, n_devices: int = 1
) -> tuple[RowLayout, Int[np.ndarray, " rows"]]:
    """Lay out rows, the same shape on every device.

    The prefix of converters is rounded up to steps that are coarse against the luck in their
    number (its sd is below half the root of the number of visitors), and rows are added for a
    whole step, used or not. So the shape depends on the number of visitors almost alone.

    Returns:
        The layout of one device and, for each row of all devices, the visitor there
        (-1 for padding).
    """
    first, rest = np.flatnonzero(converted), np.flatnonzero(~converted)
    # One more where there are several devices: each kind may leave a remainder.
    most = -(-len(converted) // n_devices) + (n_devices > 1)
    bits = most.bit_length()
    step = max(1 << max(bits - 6, (bits + 1) // 2 + 1), SMALLEST_BLOCK)
    prefix = max(-(-len(first) // (n_devices * step)), 1) * step
    n_rows = bucket(most + step)
    layout = RowLayout(n_rows, prefix, n_arms)
    order = np.full((n_devices, n_rows), -1)
    for device, row in enumerate(order):
        own_first, own_rest = first[device::n_devices], rest[device::n_devices]
        row[: len(own_first)] = own_first
        row[prefix : prefix + len(own_rest)] = own_rest
    return layout, order.ravel()


def pad_columns(X: Shaped[np.ndarray, "p n"]) -> Shaped[np.ndarray, "padded n"]:
    """Zero columns added up to the bucket's size; at least one column, for trees to look at."""
    return np.pad(X, ((0, -max(len(X), 1) % COLUMN_BUCKET + (len(X) == 0)), (0, 0)))
