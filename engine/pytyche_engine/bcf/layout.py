"""The order of rows inside the sampler.

Converters come first, so that the severity channel is a prefix of every array, and rows of
an arm are contiguous, so that each arm's rows are two static slices. Every block is padded
to a bucket: shapes, and with them compiled code, are shared between data sets of like size.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

SMALLEST_BLOCK = 32


@dataclass(frozen=True)
class Block:
    """Rows of one arm that all converted, or all did not."""

    arm: int
    start: int
    stop: int


@dataclass(frozen=True)
class RowLayout:
    """Static shape of the sampler's rows: [converters by arm | the others by arm].

    Attributes:
        blocks: in row order; the first `n_arms` hold the severity channel's rows.
        n_arms: K.
    """

    blocks: tuple[Block, ...]
    n_arms: int

    @property
    def n_rows(self) -> int:
        """Rows, padding included."""
        return self.blocks[-1].stop

    @property
    def n_severity_rows(self) -> int:
        """Length of the prefix that the severity channel lives on."""
        return self.blocks[self.n_arms - 1].stop


def bucket(size: int) -> int:
    """The padded size of a block: at most 1/8 above ``size``, from SMALLEST_BLOCK on."""
    if size <= SMALLEST_BLOCK:
        return SMALLEST_BLOCK
    step = max(1, 1 << (int(size - 1).bit_length() - 4))
    return -(-size // step) * step


def arrange(
    arm: Int[np.ndarray, " n"], converted: Bool[np.ndarray, " n"], n_arms: int
) -> tuple[RowLayout, Int[np.ndarray, " rows"]]:
    """Lay out rows.

    Returns:
        The layout and, for each of its rows, the visitor there (-1 for padding).
    """
    blocks: list[Block] = []
    order: list[Int[np.ndarray, " block"]] = []
    start = 0
    for has_converted in (True, False):
        for a in range(n_arms):
            rows = np.flatnonzero((arm == a) & (converted == has_converted))
            stop = start + bucket(len(rows))
            blocks.append(Block(a, start, stop))
            order.append(np.pad(rows, (0, stop - start - len(rows)), constant_values=-1))
            start = stop
    return RowLayout(tuple(blocks), n_arms), np.concatenate(order)
