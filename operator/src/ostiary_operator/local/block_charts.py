"""Charts for a terminal, made of block characters: what pages draw as SVG.

They show proportions. The numbers are written next to them, so that a terminal without these characters loses nothing.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from ostiary_operator.local.quantities import Quantity, shown

#: Not recorded, then nothing, then one to seven eighths and all of the highest value.
_UNRECORDED: Final = "·"
_LEVELS: Final = "▁▂▃▄▅▆▇█"
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_FULL: Final = "█"


def spark(values: Sequence[float | None]) -> str:
    """Return one character for each value, as high as its part of the highest.

    A value above 0 is always higher than 0; None, which was not recorded, is a dot.
    """
    most = max((value for value in values if value is not None), default=0.0)
    return "".join(_level(value, most) for value in values)


def _level(value: float | None, most: float) -> str:
    if value is None:
        return _UNRECORDED
    if value <= 0 or most <= 0:
        return _LEVELS[0]
    last = len(_LEVELS) - 1
    return _LEVELS[max(1, min(last, round(value / most * last)))]


def bar(value: float, most: float, *, width: int = 20) -> str:
    """Return a bar whose length is the share of ``value`` in ``most``.

    A value above 0 is never invisible.
    """
    if value <= 0 or most <= 0:
        return ""
    eighths = max(1, round(min(1.0, value / most) * width * 8))
    return (_FULL * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def summed(values: Sequence[float | None], *, width: int) -> tuple[float | None, ...]:
    """Return at most ``width`` values, each the sum of neighbours.

    It is None only where none of them was recorded.
    """
    return tuple(sum(part) if part else None for part in _parts(values, width))


def highest(values: Sequence[float | None], *, width: int) -> tuple[float | None, ...]:
    """Return at most ``width`` values, each the highest of neighbours.

    It is for durations, whose sum means nothing.
    """
    return tuple(max(part, default=None) for part in _parts(values, width))


def _parts(values: Sequence[float | None], width: int) -> Iterator[list[float]]:
    """Yield the known values of neighbours."""
    each = max(1, -(-len(values) // max(1, width)))
    for start in range(0, len(values), each):
        yield [value for value in values[start : start + each] if value is not None]


def timeline(
    label: str, values: Sequence[float | None], unit: Quantity, *, label_width: int = 12, width: int = 60
) -> str:
    """Return a line: the label, one character for each value, and the highest value."""
    drawn = summed(values, width=width)
    most = max((value for value in drawn if value is not None), default=None)
    return f"{label:<{label_width}} {spark(drawn)}  most {shown(most, unit)}"
