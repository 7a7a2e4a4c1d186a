"""How much a number may be trusted, given how it was found and estimated."""

from enum import StrEnum


class ClaimLevel(StrEnum):
    """What supports an estimate. Levels are ordered: ``EXPLORATORY`` is the lowest.

    ``EXPLORATORY``: found and estimated on the same rows.
    ``HONEST_ESTIMATE``: estimated on rows that did not choose it.
    ``CONFIRMED``: estimated on a later round than the one that chose it.

    Examples:
        >>> ClaimLevel.CONFIRMED > ClaimLevel.EXPLORATORY
        True
        >>> ClaimLevel.HONEST_ESTIMATE.label
        'honest estimate'
    """

    EXPLORATORY = "exploratory"
    HONEST_ESTIMATE = "honest_estimate"
    CONFIRMED = "confirmed"

    @property
    def label(self) -> str:
        """The level as printed beside a number, e.g. ``"honest estimate"``."""
        return self.value.replace("_", " ")

    # Text compares by the alphabet, in which confirmed is the lowest.
    def __lt__(self, other: str) -> bool:
        return _rank(self) < _rank(other)

    def __le__(self, other: str) -> bool:
        return _rank(self) <= _rank(other)

    def __gt__(self, other: str) -> bool:
        return _rank(self) > _rank(other)

    def __ge__(self, other: str) -> bool:
        return _rank(self) >= _rank(other)


def _rank(level: str) -> int:
    return list(ClaimLevel).index(ClaimLevel(level))
