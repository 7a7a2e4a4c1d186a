"""What a source of rounds is."""

from typing import Protocol

import pandas as pd

from pytyche_engine.contracts.plans import Plan
from pytyche_engine.contracts.truth import GroundTruth


class Source(Protocol):
    """Where a round's data come from: any callable with this signature.

    It is called once a round with the round's index (from 0) and the plan to serve, and
    returns a tidy frame of the visitors who came, one row each. A simulation may return
    ``(frame, truth)``, the truth row for row with the frame. `Plan.assign` draws cells and
    arms for visitors as the plan says. A source that has a ``columns`` attribute (a
    `ColumnMapping`) says itself what its columns mean.
    """

    def __call__(
        self, round_index: int, plan: Plan, /
    ) -> pd.DataFrame | tuple[pd.DataFrame, GroundTruth]:
        """The visitors of one round."""
        ...
