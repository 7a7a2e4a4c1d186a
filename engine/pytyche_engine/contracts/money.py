"""How money and probabilities are printed."""

MINUS = "\u2212"


def amount(value: float) -> str:
    """A plain amount, e.g. ``2.4060``."""
    return f"{value:.4f}".replace("-", MINUS)


def signed(value: float, digits: int = 4) -> str:
    """An amount with its sign, e.g. ``+0.1526``."""
    return f"{value:+.{digits}f}".replace("-", MINUS)


def percent(value: float) -> str:
    """A signed share, e.g. ``+6.1%``."""
    return f"{value:+.1%}".replace("-", MINUS)


def probability(value: float) -> str:
    """A probability that never claims certainty, e.g. ``> 0.99``."""
    if value > 0.995:
        return "> 0.99"
    if value < 0.005:
        return "< 0.01"
    return f"{value:.2f}"


def probability_is(value: float) -> str:
    """A probability as the end of a phrase, e.g. ``= 0.96`` or ``> 0.99``."""
    text = probability(value)
    return text if text[0] in "<>" else f"= {text}"


def probability_of(event: str, value: float) -> str:
    """A probability and what it is of, e.g. ``P(lift>0)=0.96`` or ``P(lift>0)>0.99``."""
    return event + probability_is(value).replace(" ", "")


def money(value: float, currency: str = "$", digits: int = 4) -> str:
    """An amount with its currency, e.g. ``$0.1526``, ``−$0.1526`` or ``EUR 0.1526``."""
    gap = " " if currency[-1:].isalpha() else ""
    # A value that rounds to zero has no sign.
    sign = MINUS if round(value, digits) < 0 else ""
    return f"{sign}{currency}{gap}{abs(value):.{digits}f}"


def cash(value: float, currency: str = "$") -> str:
    """A sum of money in three significant digits or whole units, e.g. ``$12,300``."""
    digits = 0 if abs(value) >= 100 else 2
    gap = " " if currency[-1:].isalpha() else ""
    rounded = float(f"{value:.3g}") if abs(value) >= 100 else value
    sign = MINUS if round(rounded, digits) < 0 else ""
    return f"{sign}{currency}{gap}{abs(rounded):,.{digits}f}"
