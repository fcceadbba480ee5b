"""A line chart as plain SVG, both axes logarithmic."""

from collections.abc import Iterator, Mapping, Sequence
from math import ceil, floor, log10
from typing import Final

_WIDTH: Final = 640
_HEIGHT: Final = 320
_LEFT: Final = 60
_RIGHT: Final = 150
_TOP: Final = 40
_BOTTOM: Final = 48
_FONT: Final = ' font-family="sans-serif" font-size="12"'
_COLOURS: Final = ("#1b6ca8", "#c8553d", "#4f772d", "#6a4c93")

Points = Sequence[tuple[float, float]]


def line_chart(title: str, x_label: str, y_label: str, lines: Mapping[str, Points]) -> str:
    """Return a chart of named lines; every coordinate is greater than zero."""
    chart = _Chart([point for points in lines.values() for point in points])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"{_FONT}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="20" font-size="14">{title}</text>',
        f'<text x="{_LEFT}" y="{_HEIGHT - 8}">{x_label}</text>',
        f'<text x="{_LEFT}" y="34" fill="#555555">{y_label}</text>',
        *chart.axes(),
        *(part for place, line in enumerate(lines.items()) for part in chart.line(place, *line)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class _Chart:
    """The scales: whole powers of ten around all points."""

    def __init__(self, points: Points) -> None:
        xs, ys = ([log10(point[axis]) for point in points] for axis in (0, 1))
        self._x = (floor(min(xs)), max(floor(min(xs)) + 1, ceil(max(xs))))
        self._y = (floor(min(ys)), max(floor(min(ys)) + 1, ceil(max(ys))))

    def axes(self) -> Iterator[str]:
        for power in range(self._x[0], self._x[1] + 1):
            x = self._across(10.0**power)
            yield (
                f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_HEIGHT - _BOTTOM}" '
                'stroke="#dddddd"/>'
            )
            yield (
                f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">'
                f"{_told(power)}</text>"
            )
        for power in range(self._y[0], self._y[1] + 1):
            y = self._up(10.0**power)
            yield (
                f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" '
                'stroke="#dddddd"/>'
            )
            yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_told(power)}</text>'

    def line(self, place: int, name: str, points: Points) -> Iterator[str]:
        colour = _COLOURS[place % len(_COLOURS)]
        places = [(self._across(x), self._up(y)) for x, y in points]
        told = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline points="{told}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield from (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places
        )
        x, y = places[-1]
        yield f'<text x="{x + 8:.1f}" y="{y + 4:.1f}" fill="{colour}">{name}</text>'

    def _across(self, value: float) -> float:
        share = (log10(value) - self._x[0]) / (self._x[1] - self._x[0])
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def _up(self, value: float) -> float:
        share = (log10(value) - self._y[0]) / (self._y[1] - self._y[0])
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _told(power: int) -> str:
    return f"{10**power:,}" if power >= 0 else f"{10.0**power:g}"
