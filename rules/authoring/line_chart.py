"""A line chart as plain SVG; each axis is linear, or logarithmic in powers of ten."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final, Literal
from xml.sax.saxutils import escape

_WIDTH: Final = 640
_HEIGHT: Final = 320
_LEFT: Final = 60
_RIGHT: Final = 150
_TOP: Final = 40
_BOTTOM: Final = 48
_FONT: Final = ' font-family="sans-serif" font-size="12"'
_COLOURS: Final = ("#1b6ca8", "#c8553d", "#4f772d", "#6a4c93")
_TICKS: Final = 5

Points = Sequence[tuple[float, float]]
Form = Literal["linear", "logarithmic"]


def line_chart(
    title: str,
    x_label: str,
    y_label: str,
    lines: Mapping[str, Points],
    form: Form = "logarithmic",
) -> str:
    """Return a chart of named lines; on logarithmic axes every coordinate is greater than zero.

    Args:
        title: what it shows.
        x_label: what lies across.
        y_label: what goes up.
        lines: the points of each line, by its name; each has some.
        form: of both axes.
    """
    chart = _Chart([point for points in lines.values() for point in points], form)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"{_FONT}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="20" font-size="14">{escape(title)}</text>',
        f'<text x="{_LEFT}" y="{_HEIGHT - 8}">{escape(x_label)}</text>',
        f'<text x="{_LEFT}" y="34" fill="#555555">{escape(y_label)}</text>',
        *chart.axes(),
        *(part for place, line in enumerate(lines.items()) for part in chart.line(place, *line)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


@dataclass(frozen=True)
class _Scale:
    """One axis: from where to where it goes, and the values that are written at it."""

    least: float
    greatest: float
    ticks: Sequence[float]
    form: Form

    def share(self, value: float) -> float:
        """Return where a value lies, from 0 at the least to 1."""
        at = log10(value) if self.form == "logarithmic" else value
        return (at - self.least) / (self.greatest - self.least)


def _logarithmic(values: Sequence[float]) -> _Scale:
    """Return whole powers of ten around all values."""
    least = floor(min(map(log10, values)))
    greatest = max(least + 1, ceil(max(map(log10, values))))
    ticks = [10.0**power for power in range(least, greatest + 1)]
    return _Scale(least, greatest, ticks, "logarithmic")


def _linear(values: Sequence[float]) -> _Scale:
    """Return whole steps of 1, 2 or 5 times a power of ten around all values."""
    span = max(values) - min(values) or abs(max(values)) or 1.0
    power = 10.0 ** floor(log10(span / _TICKS))
    step = next(s * power for s in (1, 2, 5, 10) if s * power * _TICKS >= span)
    first = floor(min(values) / step)
    last = max(first + 1, ceil(max(values) / step))
    ticks = [round(number * step, 9) for number in range(first, last + 1)]
    return _Scale(ticks[0], ticks[-1], ticks, "linear")


class _Chart:
    """The two scales, and what is drawn on them."""

    def __init__(self, points: Points, form: Form) -> None:
        scale = _logarithmic if form == "logarithmic" else _linear
        self._x, self._y = (scale([point[axis] for point in points]) for axis in (0, 1))

    def axes(self) -> Iterator[str]:
        for tick in self._x.ticks:
            x = self._across(tick)
            yield (
                f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_HEIGHT - _BOTTOM}" '
                'stroke="#dddddd"/>'
            )
            yield (
                f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">'
                f"{_told(tick)}</text>"
            )
        for tick in self._y.ticks:
            y = self._up(tick)
            yield (
                f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" '
                'stroke="#dddddd"/>'
            )
            yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_told(tick)}</text>'

    def line(self, place: int, name: str, points: Points) -> Iterator[str]:
        colour = _COLOURS[place % len(_COLOURS)]
        places = [(self._across(x), self._up(y)) for x, y in points]
        told = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline points="{told}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield from (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places
        )
        x, y = places[-1]
        yield f'<text x="{x + 8:.1f}" y="{y + 4:.1f}" fill="{colour}">{escape(name)}</text>'

    def _across(self, value: float) -> float:
        return _LEFT + self._x.share(value) * (_WIDTH - _LEFT - _RIGHT)

    def _up(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - self._y.share(value) * (_HEIGHT - _TOP - _BOTTOM)


def _told(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:g}"
