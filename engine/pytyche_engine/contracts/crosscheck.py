"""The model's estimates beside ones that do not rest on the model."""

from dataclasses import dataclass

from pytyche_engine.contracts.estimates import Estimate


@dataclass(frozen=True)
class CrossCheck:
    """Revenue per visitor of one arm or one cell, estimated three ways; money.

    Attributes:
        name: the arm or the cell.
        naive_mean: raw mean revenue of those who got the arm, or were in the cell. For an arm
            it is biased once allocation follows what was seen. nan without visitors.
        aipw: AIPW estimate from recorded probabilities, its standard error as ``sd``.
        model: posterior mean and interval.
        p_value: of a difference between the last two as large as this if the model is
            right on average, corrected for the number of rows.
        disagree: whether AIPW and the model differ beyond chance.
    """

    name: str
    naive_mean: float
    aipw: Estimate
    model: Estimate
    p_value: float
    disagree: bool
