"""How figures are written in every report. A measurement on a shared machine supports three digits."""

# The sign, not the letter; written so that no editor confuses the two.
TIMES = "\u00d7"
_DIGITS = 3


def number(value: float) -> str:
    """Write three digits, zeros at the end too: 0.0987, 0.100, 98.7, 987 and 98,700."""
    rounded = float(f"{value:.{_DIGITS}g}")
    if rounded == 0 or rounded >= 10 ** (_DIGITS - 1):
        return f"{rounded:,.0f}"
    return f"{rounded:#.{_DIGITS}g}" if rounded >= 1e-3 else f"{value:.0e}"


def rate(value: float) -> str:
    """Write three digits without zeros after the point: 0.1, 44 and 1,230."""
    return f"{float(f'{value:.{_DIGITS}g}'):,g}"


def precise(value: float) -> str:
    """Write three digits, or all of those before the point: 0.1, 98.7 and 98,765."""
    return f"{value:,.0f}" if abs(value) >= 10 ** (_DIGITS - 1) else f"{value:.{_DIGITS}g}"


def milliseconds(value: float | None) -> str:
    """Write a time in ms; None is a bound that is not known."""
    return "?" if value is None else f"{precise(value)} ms"


def usd(value: float) -> str:
    return f"${number(value)}"


def deviation(value: float | None) -> str:
    """Write a relative deviation; none at all is 0."""
    return "" if value is None else "0" if value == 0 else f"{value:.0e}" if value < 1e-2 else f"{value:.2g}"


def plural(count: int, noun: str) -> str:
    """Write `1 row` and `2 rows`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
