"""A rule's story told again of other people: renamed, varied a little, and moved in time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from rules.events import EVENTS, FieldSpec, Kind, Value
from rules.language.records import DEFAULTS
from rules.language.told import Story, StoryRecord
from rules.moment import SECOND_US
from rules.money import Money
from streams.simulation.reports import SOURCES, feed_of, person

AREA = "area"
"""What names of areas are called among the names of a cast; the others are kinds of pseudonyms."""


@dataclass
class Cast:
    """Who plays a story: a name of their own for each name in it, `prefix` before all of them.

    `given` are those that have been cast already, by kind and name in the story.
    """

    prefix: str
    serials: Iterator[int]
    given: dict[tuple[str, str], str] = field(default_factory=dict)

    def name(self, kind: str, told: str) -> str:
        """Return the name that stands for one of the story: equal for equal ones."""
        role = (kind, told)
        if role not in self.given:
            self.given[role] = self._fresh(kind, len(self.given) + 1)
        return self.given[role]

    def _fresh(self, kind: str, number: int) -> str:
        name = f"{self.prefix}-{kind}-{number}"
        match kind:
            case "person":
                return person(next(self.serials), "").number
            case "handle":
                return f"{name}@mail.example"
            case "domain":
                return f"{name}.example"
            case _:
                return name


@dataclass(frozen=True)
class Variation:
    """How a story is varied: all times stretched from its first record on, all money scaled."""

    stretch: Decimal = Decimal(1)
    scale: Decimal = Decimal(1)


def retold(story: Story, cast: Cast, variation: Variation) -> Story:
    """Return a story of other people at the same time of the same day, its claims with it."""
    origin_us = min(record.at_us for record in story.records)

    def stretched(us: int) -> int:
        if variation.stretch == 1:
            return us
        return origin_us + int((us - origin_us) * variation.stretch) // SECOND_US * SECOND_US

    told = [_renamed(record, cast) for record in story.records]
    records = tuple(_timed(_scaled(record, variation.scale), stretched) for record in told)
    claims = tuple(
        replace(
            claim,
            anchor=own_name(cast, claim.anchor),
            others=tuple(own_name(cast, other) for other in claim.others),
        )
        for claim in story.alerts
    )
    return replace(story, records=records, alerts=claims, misses=None, arrival=None)


def moved(story: Story, by_us: int) -> Story:
    """Return a story as it happens some microseconds later."""
    records = tuple(_timed(record, lambda us: us + by_us) for record in story.records)
    return replace(story, records=records)


def own_name(cast: Cast, name: str) -> str:
    """Return the own id of an event that a story calls so."""
    return f"{cast.prefix}-{name}"


def _renamed(record: StoryRecord, cast: Cast) -> StoryRecord:
    spec = EVENTS[record.event]
    fields = dict(record.fields)
    if not record.update:
        roles = (f.name for f in spec.fields.values() if f.required and f.pseudonym)
        fields = {**{name: DEFAULTS[name] for name in roles}, **fields}
    named = {name: _name(spec.fields[name], value, cast) for name, value in fields.items()}
    time_us = record.time_us
    if record.event == "official_call" and time_us is None:
        # Whoever registers a call does so before it is over.
        time_us = record.at_us
    source = f"//{record.source}.example" if record.source else SOURCES[feed_of(record.event)]
    name = own_name(cast, record.name)
    return replace(record, name=name, fields=named, time_us=time_us, source=source)


def _name(spec: FieldSpec, value: Value | None, cast: Cast) -> Value | None:
    kind = AREA if spec.name == AREA else spec.pseudonym
    return value if kind is None or value is None else cast.name(kind, str(value))


def _scaled(record: StoryRecord, scale: Decimal) -> StoryRecord:
    fields: Mapping[str, Value | None] = {
        name: _money(value, scale) if isinstance(value, Money) else value
        for name, value in record.fields.items()
    }
    return replace(record, fields=fields)


def _money(money: Money, scale: Decimal) -> Money:
    # What is whole stays whole.
    return (
        money
        if scale == 1
        else Money((money.amount * scale).quantize(money.amount), money.currency)
    )


def _timed(record: StoryRecord, clock: Callable[[int], int]) -> StoryRecord:
    spec = EVENTS[record.event]
    fields = {
        name: clock(value)
        if spec.fields[name].kind is Kind.MOMENT and isinstance(value, int)
        else value
        for name, value in record.fields.items()
    }
    time_us = None if record.time_us is None else clock(record.time_us)
    return replace(record, at_us=clock(record.at_us), time_us=time_us, fields=fields)
