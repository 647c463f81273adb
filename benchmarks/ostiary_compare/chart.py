"""The picture of a comparison: a bar for the CPU of a call of each gateway, on a logarithmic scale."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

_WIDTH: Final = 960
_LEFT: Final = 300
_RIGHT: Final = 150
_TOP: Final = 64
_ROW: Final = 24
_BAR: Final = 16
_ROOT: Final = 'font-family="Helvetica, Arial, sans-serif" font-size="13" role="img" aria-labelledby="t d"'
_STYLE: Final = """
    text { fill: #22313f }
    .own { fill: #2e7d4f }
    .other { fill: #7d93a6 }
    .floor { fill: #b7791f }
    .grid { stroke: #d5dde3; stroke-width: 1 }
    .title { font-size: 16px; font-weight: bold }
    .note { font-size: 12px }
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what it stands for, its length, what is written at its end, and its class."""

    name: str
    value: float
    label: str
    kind: str


def chart(title: str, note: str, bars: Sequence[Bar]) -> str:
    """Return the bars as an SVG document that is legible on light and dark pages."""
    height = _TOP + _ROW * len(bars) + 40
    low, high = _decades(bars)
    shapes = [*_grid(low, high, height), *_rows(bars, low, high)]
    described = "; ".join(f"{each.name}: {each.label}" for each in bars)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {_ROOT}>',
            f'  <title id="t">{escape(title)}</title>',
            f'  <desc id="d">{escape(described)}</desc>',
            f"  <style>{_STYLE}  </style>",
            f'  <rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
            f'  <text class="title" x="16" y="26">{escape(title)}</text>',
            f'  <text class="note" x="16" y="46">{escape(note)}</text>',
            *shapes,
            "</svg>",
            "",
        ]
    )


def _decades(bars: Sequence[Bar]) -> tuple[int, int]:
    """Return the powers of ten between which all bars end."""
    values = [each.value for each in bars if each.value > 0] or [1.0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _grid(low: int, high: int, height: int) -> Iterator[str]:
    for power in range(low, high + 1):
        x = _x(10.0**power, low, high)
        yield f'  <path class="grid" d="M{x:.1f} {_TOP - 6}V{height - 30}"/>'
        yield f'  <text class="note" x="{x:.1f}" y="{height - 12}" text-anchor="middle">{10**power:,} µs</text>'


def _rows(bars: Sequence[Bar], low: int, high: int) -> Iterator[str]:
    for number, each in enumerate(bars):
        y = _TOP + number * _ROW
        end = _x(each.value, low, high)
        yield f'  <text x="{_LEFT - 10}" y="{y + 13}" text-anchor="end">{escape(each.name)}</text>'
        yield f'  <rect class="{each.kind}" x="{_LEFT}" y="{y}" width="{end - _LEFT:.1f}" height="{_BAR}" rx="3"/>'
        yield f'  <text class="note" x="{end + 8:.1f}" y="{y + 13}">{escape(each.label)}</text>'


def _x(value: float, low: int, high: int) -> float:
    part = (math.log10(value) - low) / (high - low) if value > 0 else 0.0
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(1.0, max(0.0, part))
