"""Draws curves as SVG: no library, and the same bytes for the same figures."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

#: A curve: its points (x, y).
Curve = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 46, 46
_COLOURS: Final = ("#0b6e99", "#c2410c", "#15803d", "#7c3aed")
_STEPS: Final = (1, 2, 2.5, 5, 10)


def drawn(title: str, curves: Mapping[str, Curve], *, x: str, y: str) -> str:
    """Return a picture of curves with axes from zero; ``x`` and ``y`` say what the axes count."""
    points = [point for curve in curves.values() for point in curve]
    most_x, most_y = _top(max(point[0] for point in points)), _top(max(point[1] for point in points))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/><g font-family="sans-serif">',
        f'<text x="{_LEFT}" y="18" font-size="14" font-weight="bold" fill="#111827">{escape(title)}</text>',
        *_axes(most_x, most_y, x=x, y=y),
    ]
    for number, (name, curve) in enumerate(curves.items()):
        lines += _curve(name, curve, number, most_x, most_y)
    return "\n".join([*lines, "</g></svg>"]) + "\n"


def _top(most: float) -> float:
    """Return a round number at or above the largest value."""
    scale = 1.0
    while scale * 10 < most:
        scale *= 10
    while scale >= most and scale > 1e-6:
        scale /= 10
    return next(step * scale for step in _STEPS if step * scale >= most * 0.999)


def _axes(most_x: float, most_y: float, *, x: str, y: str) -> list[str]:
    lines = []
    for part in range(5):
        at_y, at_x = _y(most_y * part / 4, most_y), _x(most_x * part / 4, most_x)
        lines.append(f'<line x1="{_LEFT}" y1="{at_y}" x2="{_WIDTH - _RIGHT}" y2="{at_y}" stroke="#e5e7eb"/>')
        text = _number(most_y * part / 4)
        lines.append(f'<text x="{_LEFT - 6}" y="{at_y + 4}" text-anchor="end" fill="#374151">{text}</text>')
        text = _number(most_x * part / 4)
        lines.append(f'<text x="{at_x}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle" fill="#374151">{text}</text>')
    lines.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 10}" text-anchor="end" fill="#374151">{escape(x)}</text>')
    lines.append(f'<text x="6" y="{_TOP - 12}" fill="#374151">{escape(y)}</text>')
    return lines


def _curve(name: str, curve: Curve, number: int, most_x: float, most_y: float) -> list[str]:
    colour = _COLOURS[number % len(_COLOURS)]
    places = [(_x(x, most_x), _y(y, most_y)) for x, y in curve]
    path = " ".join(f"{x},{y}" for x, y in places)
    dots = [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places]
    at = _LEFT + 12 + 150 * number
    label = f'<text x="{at}" y="{_HEIGHT - 10}" fill="{colour}">{escape(name)}</text>'
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>', *dots, label]


def _x(value: float, most: float) -> float:
    return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * value / most, 1)


def _y(value: float, most: float) -> float:
    return round(_HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / most, 1)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:,.2f}".rstrip("0").rstrip(".")
