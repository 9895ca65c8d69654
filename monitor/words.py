"""How durations are said to people."""

from datetime import timedelta

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def in_words(duration: timedelta) -> str:
    """Its two largest units: `41 s`, `3 min 5 s`, `2 d 4 h`; below 10 s `0.8 s`, not below 0.1."""
    seconds = duration.total_seconds()
    if 0 < seconds < 10:
        seconds = max(seconds, 0.1)
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for index, (unit, length) in enumerate(_UNITS):
        if whole >= length:
            smaller, size = (*_UNITS, ("s", 1))[index + 1]
            rest = whole % length // size
            return f"{whole // length} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"
