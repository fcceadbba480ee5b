"""Stories run through the real engine: the records they stand for, and the alerts they give."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from rules.alert import Alert
from rules.events import BY_WIRE_TYPE, normalise
from rules.fact import Event, Fact, Identity, Mark, key_of, make_event
from rules.language import Story
from rules.language.records import wire_records
from rules.moment import parse_moment
from rules.rule import RuleSet
from rules.stages import SOURCE, Engine
from rules.timing import Timing
from rules.watermark import END_US, NEVER_US, FeedClock


class StoryError(ValueError):
    """A record in a story that no sender may send; `line` is where it stands in its file."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def records_of(story: Story) -> list[dict[str, Any]]:
    """Return the records of a story as they stand on the wire, in file order.

    Each is a whole snapshot: an update repeats what is known of its event so far.
    """
    return wire_records(story.records)


def events_of(story: Story, timing: Timing) -> list[Event]:
    """Return the event that each record of a story tells, in file order.

    Raises:
        StoryError: A record comes too late to count under these settings.
    """
    return [
        _event(record, told.line, timing)
        for record, told in zip(records_of(story), story.records, strict=True)
    ]


def run_story(
    rule_set: RuleSet, story: Story, timing: Timing, order: Sequence[int]
) -> list[Alert]:
    """Return the final raised alerts that a story's records give in one order of arrival.

    Args:
        rule_set: the rules to run, of both stages.
        story: whose records arrive; an alert among them arrives in the second stage.
        timing: the settings that the rules were loaded with.
        order: places in the story's records; a place that stands there twice arrives twice.

    Raises:
        StoryError: A record comes too late to count under these settings.
    """
    events = events_of(story, timing)
    sources = {e.identity.source for e in events if e.identity.type != "alert"}
    clocks = {source: FeedClock(story.lateness_us or 0) for source in sorted(sources)}
    # Without any feed there would be no end that could be reached.
    roster = list(clocks) or ["bank"]
    engine = Engine(rule_set, {(source, 0): NEVER_US for source in roster}, timing=timing)
    alerts: list[Alert] = []
    for step, place in enumerate(order):
        event = events[place]
        if event.identity.type == "alert":
            alerts += engine.second.observe(list(_facts(event)), step)
        else:
            rows = _arrive(event, clocks, late=story.lateness_us is not None)
            alerts += engine.observe(list(rows), step)
    alerts += engine.observe([Mark(source, 0, END_US) for source in roster], len(order))
    return [alert for alert in alerts if alert.final and alert.state == "raised"]


def _facts(event: Event) -> Iterator[Fact]:
    for by, value in event.keys().items():
        yield Fact(key_of(by, value), event)


def _arrive(event: Event, clocks: Mapping[str, FeedClock], *, late: bool) -> Iterator[Fact | Mark]:
    """Yield the rows that the arrival of one record brings; without `late` nothing moves time."""
    source = event.identity.source
    clock = clocks[source]
    if late and clock.is_late(event.time_us):
        event = msgspec.structs.replace(event, late=True)
    yield from _facts(event)
    if late:
        clock.observe(event.time_us)
        yield Mark(source, 0, clock.watermark_us)


def _event(record: Mapping[str, Any], line: int, timing: Timing) -> Event:
    """Return the event that a record tells; that it keeps the contract has been checked at load.

    What has no place in a story, a withheld caller for one, stays as it is: pseudonyms are made
    by ingest.
    """
    spec = BY_WIRE_TYPE[record["type"]]
    own_id = record["id"] if spec.id_field is None else record["data"][spec.id_field]
    data = normalise(spec.model.model_validate(record["data"]))
    if spec.name == "alert":
        # Where a set of alerts is shown, each is shown by its anchor.
        data |= {"anchor_source": SOURCE, "anchor_type": spec.name, "anchor_id": own_id}
    event = make_event(
        Identity(record["source"], spec.name, own_id),
        record_id=record["id"],
        sequence=record.get("sequence", 0),
        time_us=parse_moment(record["time"]),
        data=data,
        late=False,
        timing=timing,
    )
    if event.time_us - event.start_us > timing.settle(spec.name):
        what = f"{own_id}: its time is more than settle after its start, so it would be refused"
        raise StoryError(line, what)
    return event


def differences(story: Story, alerts: Sequence[Alert]) -> list[str]:
    """Return in what the final raised alerts differ from those that a story claims."""
    found = {alert.content["anchor"]["id"]: alert.content for alert in alerts}
    wanted = {claim.anchor: claim for claim in story.alerts}
    texts = [
        f"an alert about {name} that it does not claim" for name in found if name not in wanted
    ]
    for name, claim in wanted.items():
        content = found.get(name)
        if content is None:
            texts.append(f"no alert about {name}")
            continue
        texts += [
            f"{key} {content[key]} about {name}, wanted {value}"
            for key, value in claim.says.items()
            if content[key] != value
        ]
        missing = sorted({*claim.others} - {*_rests_on(content)})
        if missing:
            texts.append(f"the alert about {name} does not rest on {', '.join(missing)}")
    return texts


def _rests_on(content: Mapping[str, Any]) -> Iterator[str]:
    for evidence in content["evidence"]:
        shown = evidence.get("sample", [evidence])
        yield from (event["id"] for event in shown)
