"""Tables for a terminal: aligned columns, and colours if the terminal shows them."""

from collections.abc import Callable, Sequence
from typing import Final

from ostiary_operator.local.console import Style

Paint = Callable[[str, Style], str]

#: The colour of a cell whose whole text is the status of a condition.
_STYLES: Final = {"True": Style.GOOD, "False": Style.BAD, "Unknown": Style.WARN}
_GAP: Final = "   "
NOTHING: Final = "-"


def plain(text: str, style: Style) -> str:
    """Return the text without colours."""
    del style
    return text


def render(header: Sequence[str], rows: Sequence[Sequence[str]], *, paint: Paint = plain) -> str:
    """Return a table as kubectl writes it; an empty cell is a dash."""
    shown = [[cell or NOTHING for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *shown, strict=True)]
    head = _line(header, widths, lambda text, _: paint(text, Style.BOLD))
    return "".join([head, *(_line(row, widths, paint) for row in shown)])


def _line(cells: Sequence[str], widths: Sequence[int], paint: Paint) -> str:
    last = len(cells) - 1
    padded = (
        paint(cell, _STYLES.get(cell, Style.PLAIN)) + " " * (0 if number == last else width - len(cell))
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return _GAP.join(padded).rstrip() + "\n"


def age(seconds: float) -> str:
    """Return an age in its one or two largest units, as kubectl does."""
    left = max(int(seconds), 0)
    parts: list[tuple[int, str]] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number or parts:
            parts.append((number, unit))
    first = parts[0][0] if parts else 0
    kept = parts[:2] if first < 10 else parts[:1]
    return "".join(f"{number}{unit}" for number, unit in kept if number) or "0s"
