"""A story as a picture: what happened when, one line for each event, as SVG."""

from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

from rules.authoring.stories import events_of
from rules.events import EVENTS
from rules.fact import Event, greatest
from rules.language import Story
from rules.language.told import DAY_0_US
from rules.moment import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from rules.timing import Timing

_WIDTH = 860
_LEFT = 250
_RIGHT = 40
_ROW = 30
_HEAD = 46
_STYLE = (
    "text{font:13px sans-serif;fill:#444}.at{font-size:11px;fill:#777}"
    ".calls{fill:#4878a8}.bank{fill:#7a9a46}.everyone{fill:#888}"
    ".anchor{fill:#c0392b}.line{stroke:#ccc}"
)


def timeline(story: Story, timing: Timing) -> str:
    """Return a story's events as an SVG picture; what an alert is about is red.

    Args:
        story: the story, which has an event.
        timing: the settings under which it is run.

    Raises:
        StoryError: A record comes too late to count under these settings.
    """
    events = _as_they_stand(story, timing)
    anchors = {claim.anchor: claim.action for claim in story.alerts}
    first_us = min(event.start_us for event in events)
    last_us = max(event.end_us for event in events)
    height = _HEAD + _ROW * len(events) + 8
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(story.title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<text x="8" y="22" font-weight="bold">{escape(story.title)}</text>',
    ]
    for row, event in enumerate(events):
        lines += _row(event, _HEAD + _ROW * row, anchors, (first_us, last_us))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _as_they_stand(story: Story, timing: Timing) -> Sequence[Event]:
    """Return the events of a story as their greatest records tell them, by start."""
    known: dict[object, Event] = {}
    for event in events_of(story, timing):
        held = known.get(event.identity)
        known[event.identity] = event if held is None else greatest(held, event)
    return sorted(known.values(), key=lambda event: event.place)


def _row(
    event: Event, top: int, anchors: Mapping[str, str | None], span_us: tuple[int, int]
) -> Iterator[str]:
    own_id = event.identity.id
    is_anchor = own_id in anchors
    start, end = (_across(us, span_us) for us in (event.start_us, event.end_us))
    middle = top + _ROW // 2
    yield (f'<line class="line" x1="{_LEFT}" y1="{middle}" x2="{_WIDTH - _RIGHT}" y2="{middle}"/>')
    yield f'<text x="8" y="{middle + 4}">{escape(f"{event.identity.type} {own_id}")}</text>'
    of = "anchor" if is_anchor else EVENTS[event.identity.type].side
    if end - start > _ROW // 3:
        yield (
            f'<rect class="{of}" x="{start}" y="{middle - 5}" width="{end - start}" height="10"'
            ' rx="3"/>'
        )
    else:
        yield f'<circle class="{of}" cx="{start}" cy="{middle}" r="6"/>'
    says = _clock(event.start_us)
    if event.end_us > event.start_us:
        says += f" to {'some time' if event.open else _clock(event.end_us)}"
    if is_anchor and anchors[own_id] is not None:
        says += f" {anchors[own_id]}"
    # Towards the middle, so that nothing leaves the picture.
    side_of = "start" if start < (_LEFT + _WIDTH) // 2 else "end"
    yield f'<text class="at" x="{start}" y="{middle - 8}" text-anchor="{side_of}">{says}</text>'


def _across(us: int, span_us: tuple[int, int]) -> int:
    first_us, last_us = span_us
    room = _WIDTH - _RIGHT - _LEFT
    return _LEFT + (us - first_us) * room // max(1, last_us - first_us)


def _clock(us: int) -> str:
    """Return a moment of a story as its author writes it: `10:42`, `1d 09:00`."""
    days, rest = divmod(us - DAY_0_US, DAY_US)
    hours, rest = divmod(rest, HOUR_US)
    minutes, rest = divmod(rest, MINUTE_US)
    seconds = rest // SECOND_US
    clock = f"{hours:02}:{minutes:02}" + (f":{seconds:02}" if seconds else "")
    return f"{days}d {clock}" if days else clock
