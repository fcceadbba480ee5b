"""Stories run through the real engine: the records they stand for, and the alerts they give."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from rules.alert import Alert
from rules.engine import Correlator
from rules.events import BY_WIRE_TYPE, EVENTS, EventSpec, Kind, Value, normalise
from rules.fact import Event, Fact, Identity, Mark, key_of, make_event
from rules.language import Story, StoryRecord
from rules.moment import format_moment, parse_moment
from rules.money import Money, format_amount, parse_money
from rules.rule import RuleSet
from rules.timing import Timing
from rules.watermark import END_US, NEVER_US, FeedClock

_SOURCES = {"calls": "telecom", "bank": "bank"}
_DIRECTIONS = {"call_invitation": "incoming", "transfer": "out"}
# What the contract requires and a story leaves out.
_DEFAULTS: Mapping[str, Value] = {
    "amount": parse_money("10000 CNY"),
    "caller": "caller-1",
    "institution": "bank",
    "kind": "own_sweep",
    "media": "video",
    "payee_account": "account-1",
    "person": "person-1",
    "service": "facetime",
}


class StoryError(ValueError):
    """A record in a story that no sender may send; `line` is where it stands in its file."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def records_of(story: Story) -> list[dict[str, Any]]:
    """Return the records of a story as they stand on the wire, in file order.

    Each is a whole snapshot: an update repeats what is known of its event so far.
    """
    known: dict[str, Mapping[str, Value]] = {}
    sources: dict[str, str] = {}
    counts: dict[str, int] = {}
    records: list[dict[str, Any]] = []
    for told in story.records:
        spec = EVENTS[told.event]
        fields = known.get(told.name) or _first_fields(told, spec)
        fields = {name: v for name, v in {**fields, **told.fields}.items() if v is not None}
        known[told.name] = fields
        source = sources.setdefault(told.name, told.source or _SOURCES[spec.side])
        number = counts[told.name] = counts.get(told.name, 0) + 1
        record: dict[str, Any] = {
            "specversion": "1.0",
            # Of two records of one time the later told has the greater id, so it stands.
            "id": told.name if number == 1 else f"{told.name}.{number:03}",
            "source": source,
            "type": spec.wire_type,
            "time": format_moment(_time_us(told, spec, fields)),
            "data": _data(told, spec, fields),
        }
        if told.sequence is not None:
            record["sequence"] = told.sequence
        records.append(record)
    return records


def _first_fields(told: StoryRecord, spec: EventSpec) -> dict[str, Value]:
    """Return what stands in an event's first record before its author has said anything."""
    fields = {
        name: _DEFAULTS[name]
        for name, f in spec.fields.items()
        if f.required and name in _DEFAULTS
    }
    if told.event in _DIRECTIONS:
        fields["direction"] = _DIRECTIONS[told.event]
    if spec.id_field is not None:
        fields[spec.id_field] = told.name
    if spec.start_field is not None:
        fields[spec.start_field] = told.at_us
    return fields


def _time_us(told: StoryRecord, spec: EventSpec, fields: Mapping[str, Value]) -> int:
    if told.time_us is not None:
        return told.time_us
    if spec.start_field is None:
        return told.at_us
    moments = (v for name, v in fields.items() if spec.fields[name].kind is Kind.MOMENT)
    return max(told.at_us, *(moment for moment in moments if isinstance(moment, int)))


def _data(told: StoryRecord, spec: EventSpec, fields: Mapping[str, Value]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, Money):
            data[name] = format_amount(value.amount)
            if data.setdefault("currency", value.currency) != value.currency:
                raise StoryError(told.line, f"{told.name} has money of two currencies")
        elif spec.fields[name].kind is Kind.MOMENT and isinstance(value, int):
            data[name] = format_moment(value)
        else:
            data[name] = value
    return data


def run_story(
    rule_set: RuleSet, story: Story, timing: Timing, order: Sequence[int]
) -> list[Alert]:
    """Return the final raised alerts that a story's records give in one order of arrival.

    Args:
        rule_set: the rules to run.
        story: whose records arrive.
        timing: the settings that the rules were loaded with.
        order: places in the story's records; a place that stands there twice arrives twice.

    Raises:
        StoryError: A record breaks the event contract.
    """
    events = [
        _event(record, told.line, timing)
        for record, told in zip(records_of(story), story.records, strict=True)
    ]
    clocks = {event.identity.source: FeedClock(story.lateness_us or 0) for event in events}
    correlator = Correlator(rule_set, {(source, 0): NEVER_US for source in clocks})
    alerts: list[Alert] = []
    for step, place in enumerate(order):
        rows = list(_arrive(events[place], clocks, late=story.lateness_us is not None))
        alerts += correlator.observe(rows, step)
    ends = [Mark(source, 0, END_US) for source in clocks]
    alerts += correlator.observe(ends, len(order))
    return [alert for alert in alerts if alert.final and alert.state == "raised"]


def _arrive(event: Event, clocks: Mapping[str, FeedClock], *, late: bool) -> Iterator[Fact | Mark]:
    """Yield the rows that the arrival of one record brings; without `late` nothing moves time."""
    source = event.identity.source
    clock = clocks[source]
    if late and clock.is_late(event.time_us):
        event = replace(event, late=True)
    for by, value in event.keys().items():
        yield Fact(key_of(by, value), event)
    if late:
        clock.observe(event.time_us)
        yield Mark(source, 0, clock.watermark_us)


def _event(record: Mapping[str, Any], line: int, timing: Timing) -> Event:
    """Return the event that a record tells, checked as ingest checks it.

    What is no mistake of the contract but has no place in a story, a withheld caller for one,
    stays as it is: pseudonyms are made by ingest.
    """
    spec = BY_WIRE_TYPE[record["type"]]
    own_id = record["id"] if spec.id_field is None else record["data"][spec.id_field]
    try:
        data = normalise(spec.model.model_validate(record["data"]))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise StoryError(line, f"{own_id}: {place}: {first['msg']}") from error
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
        if claim.action not in (None, content["action"]):
            texts.append(f"action {content['action']} about {name}, wanted {claim.action}")
        others = {evidence["id"] for evidence in content["evidence"]}
        missing = sorted(set(claim.others) - others)
        if missing:
            texts.append(f"the alert about {name} does not rest on {', '.join(missing)}")
    return texts
