"""Cases planted in a town, made from the stories of rule files, and the truth about each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import count
from typing import Any, Final

from rules.alert import alert_id
from rules.authoring.stories import records_of
from rules.events import BY_WIRE_TYPE, EVENTS, KEYS, Value
from rules.fact import Identity
from rules.language.told import Story, StoryRecord
from rules.moment import DAY_US, SECOND_US, format_moment, parse_moment
from rules.rule import Rule
from streams.simulation.chance import Chance
from streams.simulation.repertoire import Host, Part, Repertoire
from streams.simulation.reports import Report
from streams.simulation.retold import AREA, Cast, Variation, moved, retold
from streams.simulation.town import Happening

Json = Mapping[str, Any]

# Above those of the town and of the published cases.
_FIRST_SERIAL: Final = 910_001
_TRIES: Final = 40
_STAND_IN: Final = "alert"
# What a story may say of an alert that stands for another rule's, and the alert says too.
_SAID: Final = ("rule", "typology", "stage", "severity", "action", "score")


@dataclass(frozen=True)
class Planted:
    """One case among ordinary life, and what is known of it: `truth` is a line of JSON."""

    happening: Happening
    truth: Json


def plant(
    repertoire: Repertoire, seed: int, rounds: int, start_us: int, days: int
) -> Iterator[Planted]:
    """Yield so many rounds of cases, in order of time.

    In each round every rule has one case, made of one of its stories, and every confuser one.
    All that is in one is planted whole, so the last may go on when ordinary life is over. What
    cannot be told without an alert that no story gives is left out, see `unplantable`.

    Args:
        repertoire: The stories.
        seed: What chance is drawn from; ordinary life of the same seed is not touched.
        rounds: How often each is planted.
        start_us: The first moment, in microseconds.
        days: In how many days they begin.
    """
    chance = Chance(~seed)
    seconds = days * DAY_US // SECOND_US
    planned = sorted(
        (start_us + chance.between(0, seconds - 1) * SECOND_US, number)
        for number in range(rounds * len(repertoire.parts))
    )
    serials = count(_FIRST_SERIAL)
    for place, (at_us, number) in enumerate(planned, 1):
        part = repertoire.parts[number % len(repertoire.parts)]
        play = _Play(repertoire, part, chance, f"k{place:05}", serials)
        played = play.played()
        if played is not None:
            yield _planted(part, played, play.prefix, at_us)


def unplantable(repertoire: Repertoire) -> list[Part]:
    """Return what cannot be planted: no story of it holds with alerts that others give."""
    plays = (
        _Play(repertoire, part, Chance(0), "k", count(_FIRST_SERIAL)) for part in repertoire.parts
    )
    return [play.part for play in plays if play.played() is None]


@dataclass
class _Play:
    """One attempt after another to tell a story of a part, until it holds what it claims."""

    repertoire: Repertoire
    part: Part
    chance: Chance
    prefix: str
    serials: Iterator[int]

    def played(self) -> Story | None:
        for _ in range(_TRIES):
            told = self._told(self.chance.among(self.part.stories))
            if told is not None:
                return told
        return None

    def _told(self, story: Story) -> Story | None:
        """Return a story that holds: varied if it can be, else as it is written."""
        cast = Cast(self.prefix, self.serials)
        for variation in (self._variation(), Variation()):
            varied = retold(story, cast, variation)
            hosted = self.part.rule.reads_alerts
            told = self._with_hosts(story, varied, cast) if hosted else varied
            if told is not None and self.repertoire.holds(self.part.rule, told):
                return told
        return None

    def _variation(self) -> Variation:
        stretch, scale = self.chance.between(90, 99), self.chance.between(91, 119)
        return Variation(Decimal(stretch) / 100, Decimal(scale) / 100)

    def _with_hosts(self, story: Story, told: Story, cast: Cast) -> Story | None:
        """Return a story in which each alert that stands in for another rule's really comes."""
        records = [record for record in told.records if record.event != _STAND_IN]
        anchors: dict[str, str] = {}
        for written, record in zip(story.records, told.records, strict=True):
            if record.event != _STAND_IN:
                continue
            fitting = [h for h in self.repertoire.hosts if _fits(written, h, self.part.rule)]
            if not fitting:
                return None
            played = self._host(self.chance.among(fitting), written, record, cast)
            records += played.records
            anchors[record.name] = played.alerts[0].anchor
        claims = tuple(
            replace(claim, anchor=anchors.get(claim.anchor, claim.anchor), others=())
            for claim in told.alerts
        )
        return replace(told, records=tuple(records), alerts=claims)

    def _host(self, host: Host, written: StoryRecord, record: StoryRecord, cast: Cast) -> Story:
        """Return a host's story, told so that its alert is the one that a record stands for.

        What it claims an alert about is that alert, by its id.
        """
        own = Cast(record.name, self.serials)
        shared = {
            "person": "person-1",
            **{k: v for k, v in written.fields.items() if k in KEYS.values()},
        }
        for name, value in shared.items():
            kind = EVENTS[_STAND_IN].fields[name].pseudonym or AREA
            known = host.alert.content.get(name)
            if known is not None and value is not None:
                own.given[(kind, known)] = cast.name(kind, str(value))
        told = retold(host.story, own, Variation())
        told = moved(told, record.at_us - host.alert.anchor_start_us)
        area = shared.get(AREA)
        if area is not None:
            told = _living_in(told, cast.name(AREA, str(area)))
        anchor = _identity(told, told.alerts[0].anchor)
        claim = replace(told.alerts[0], anchor=alert_id(host.rule, anchor, ""))
        return replace(told, alerts=(claim,))


def _fits(written: StoryRecord, host: Host, rule: Rule) -> bool:
    """Tell whether a host's alert is what a story says of the alert that it stands for."""
    said: Mapping[str, Value | None] = written.fields
    content = host.alert.content
    for name in _SAID:
        if name in said and content.get(name) != said[name]:
            return False
    if "amount" in said and (said["amount"] is None) is ("amount" in content):
        return False
    # Where it lives is up to us.
    keys = {KEYS[rule.by], *(name for name in KEYS.values() if name in said)} - {AREA}
    return all(name in content for name in keys)


def _living_in(story: Story, area: str) -> Story:
    records = tuple(
        record if record.update else replace(record, fields={**record.fields, AREA: area})
        for record in story.records
    )
    return replace(story, records=records)


def _identity(story: Story, name: str) -> Identity:
    """Return the identity of an event of a story."""
    for record, wire in zip(story.records, records_of(story), strict=True):
        if record.name == name:
            return Identity(wire["source"], record.event, name)
    return Identity("ringfence", _STAND_IN, name)


def _planted(part: Part, story: Story, prefix: str, at_us: int) -> Planted:
    first_us = min(parse_moment(record["time"]) for record in records_of(story))
    told = moved(story, at_us - first_us)
    reports = tuple(_report(record) for record in records_of(told))
    return Planted(Happening(at_us, reports), _truth(part, told, reports, prefix))


def _report(record: Json) -> Report:
    return Report(
        type=BY_WIRE_TYPE[record["type"]].name,
        id=record["id"],
        sequence=record.get("sequence", 0),
        time_us=parse_moment(record["time"]),
        data=record["data"],
        said_by=record["source"],
    )


def _truth(part: Part, story: Story, reports: Sequence[Report], prefix: str) -> Json:
    by = KEYS[part.rule.by]
    keys = dict.fromkeys(str(r.data[by]) for r in reports if by in r.data)
    people = dict.fromkeys(str(r.data["person"]) for r in reports)
    anchors = [_identity(story, claim.anchor) for claim in story.alerts]
    return {
        "case": prefix,
        "kind": part.kind,
        "rule": part.rule.id,
        "typology": part.rule.typology,
        "story": story.title,
        "starts_at": format_moment(min(report.time_us for report in reports)),
        "by": part.rule.by,
        "keys": list(keys),
        "people": list(people),
        "events": list(dict.fromkeys(record.name for record in story.records)),
        "alerts": [_expected(part.rule, anchor) for anchor in anchors],
    }


def _expected(rule: Rule, anchor: Identity) -> Json:
    told: dict[str, Any] = {"anchor": dict(zip(("source", "type", "id"), anchor, strict=True))}
    if not rule.reads_alerts:
        # The id of an alert of other alerts holds its key, which is a secret's pseudonym.
        told["alert_id"] = alert_id(rule, anchor, "")
    return told
