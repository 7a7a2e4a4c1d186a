"""How much a number may be trusted, given how it was found and estimated."""

from enum import StrEnum


class ClaimLevel(StrEnum):
    """What supports an estimate.

    ``EXPLORATORY``: found and estimated on the same rows.
    ``HONEST_ESTIMATE``: estimated on rows that did not choose it.
    ``CONFIRMED``: estimated on a later round than the one that chose it.
    """

    EXPLORATORY = "exploratory"
    HONEST_ESTIMATE = "honest_estimate"
    CONFIRMED = "confirmed"

    @property
    def label(self) -> str:
        """The level as printed beside a number, e.g. ``"honest estimate"``."""
        return self.value.replace("_", " ")
