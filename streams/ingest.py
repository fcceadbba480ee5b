"""From a record as it came to the facts that are worth keeping, the same for bus and replay."""

from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec

from rules.authoring.blindness import Sightings
from rules.authoring.people import People
from rules.events import KEYS
from rules.fact import Event, Fact, Identity, key_of, make_event
from rules.rule import RuleSet
from rules.screen import Screen
from rules.timing import Timing
from rules.watermark import END_US, FeedClock
from streams.reaches import Reach
from streams.wire.first_look import Dropped, FirstLook
from streams.wire.plain import plain_record
from streams.wire.pseudonyms import Pseudonyms, comparable
from streams.wire.records import Record, Refusal, decode_record

Read = Record | Refusal | Dropped


@dataclass(frozen=True, slots=True)
class Taken:
    """What one record came to: facts to append, or a refusal to put on record, or neither.

    `late` tells that its time was below its partition's watermark.
    """

    facts: tuple[Fact, ...] = ()
    refusal: Refusal | None = None
    late: bool = False


_LATE: Final = Taken(late=True)


class Ingest:
    """Checks, pseudonymises and screens records; the feed's clock is the caller's.

    `people` are those that records in order were about so far.
    """

    def __init__(
        self,
        rule_set: RuleSet,
        timing: Timing,
        pseudonyms: Pseudonyms,
        *,
        validates_all: bool = False,
    ) -> None:
        """Prepare for a rule set; with `validates_all` every record is checked whole."""
        self.people = People(partial(comparable, "person"))
        self._sightings = Sightings(rule_set)
        self._read = Counter[str]()
        self.first_look = FirstLook(rule_set, timing, self.people.sides, reads_all=validates_all)
        self._screen = Screen(rule_set)
        self.timing = timing
        self._pseudonyms = pseudonyms

    def take_all(
        self, raws: Sequence[bytes], reach: Reach, *, now_us: int
    ) -> Iterator[tuple[int, Taken]]:
        """Yield what consecutive records of a partition come to, each with its place among them.

        Most of those that come to nothing are left out. The partition's clock stands where those
        so far have brought it after `reach.catch_up`. Never raises for what one record holds.

        Args:
            raws: the records as they came.
            reach: how far the partition has come; it goes on.
            now_us: ingest's clock, by which records of the future are refused.
        """
        looks = self.first_look.looks
        self.people.thin()
        reach.heed(now_us)
        for at, r in enumerate(self.first_look.decode_all(raws)):
            try:
                if (
                    r is None
                    or not reach.epoch <= (t := r.time) <= reach.ceiling
                    or looks[r.__class__](r.data, t, reach.earliest)
                ):
                    yield at, self._take_whole(raws[at], r, reach, now_us)
                elif t > reach.top:
                    reach.top = t
                elif t < reach.safe and t < reach.top - reach.lateness:
                    yield at, _LATE
            # One record must not stop the stream, whatever bug it meets; it is named in the open.
            except Exception as error:  # noqa: BLE001 - see above
                # The error's own text stays out: it could hold what the record holds.
                yield at, Taken(refusal=Refusal("internal", f"{type(error).__name__} in ingest"))

    def _take_whole(self, raw: bytes, record: Any, reach: Reach, now_us: int) -> Taken:  # noqa: ANN401 - as first looked at
        """Return what a record comes to, and let others like it be passed over from here on."""
        reach.catch_up()
        read = self.read(raw, record, now_us=now_us)
        taken = self.admit(read, reach.clock)
        if isinstance(read, Record):
            self._read[read.type] += 1
            for fact in taken.facts[:1]:
                self._sightings.note(read.type, fact.event.fields)
        if record is None or isinstance(read, Refusal) or read.type == "heartbeat":
            reach.rest()
        elif reach.has_room_for(record):
            return taken
        else:
            reach.follow(record.time, None, now_us)
        reach.look_ahead(END_US, self.first_look.settle)
        return taken

    def blind_rules(self) -> AbstractSet[str]:
        """Return the rules that could not have matched, going by what `take_all` was given."""
        return self._sightings.blind_rules(self._read + Counter(self.first_look.dropped_by_type()))

    def read(
        self,
        raw: bytes,
        record: Any | None,  # noqa: ANN401 - a Struct made for these rules
        *,
        now_us: int,
        trust_recorded: bool = False,
    ) -> Read:
        """Return the checked record with pseudonyms, why it is refused, or that no rule needs it.

        Never raises for what a sender sent.

        Args:
            raw: the record as it came.
            record: as first looked at; None if it was not plainly in order.
            now_us: ingest's clock.
            trust_recorded: whether a recorded log's own `recordedtime` stands in for the clock.
        """
        look = self.first_look
        if record is not None:
            dropped = look.judge(record, now_us=now_us, trust_recorded=trust_recorded)
            if dropped is not None:
                return dropped
        return self.read_whole(raw, now_us=now_us, trust_recorded=trust_recorded)

    def read_whole(
        self, raw: bytes, *, now_us: int, trust_recorded: bool = False
    ) -> Record | Refusal:
        """Return the checked record with pseudonyms or why it is refused, needed or not."""
        try:
            settle_us = self.timing.settle
            read = plain_record(
                raw, settle_us=settle_us, now_us=now_us, trust_recorded=trust_recorded
            ) or decode_record(
                raw, settle_us=settle_us, now_us=now_us, trust_recorded=trust_recorded
            )
            return read if isinstance(read, Refusal) else self._hidden(read)
        # One record must not stop the stream, whatever bug it meets; it is named in the open.
        except Exception as error:  # noqa: BLE001 - see above
            # The error's own text stays out: it could hold what the record holds.
            return Refusal("internal", f"{type(error).__name__} while it was read", None)

    def _hidden(self, record: Record) -> Record:
        """Return a record with pseudonyms, and take note of its person."""
        person, side = record.data.get("person"), record.spec.side
        # Before pseudonyms, a person is told by the text that both sides have to agree on.
        if person is not None and side != "everyone":
            self.people.note(side, str(person))
        data = self._pseudonyms.apply(record.type, record.data)
        return msgspec.structs.replace(record, data=data)

    def admit(self, read: Read, clock: FeedClock) -> Taken:
        """Return what a record that has been read comes to, and move its partition's clock."""
        if isinstance(read, Refusal):
            if read.moves_watermark and read.time_us is not None:
                clock.observe(read.time_us)
            return Taken(refusal=read)
        if read.type == "heartbeat":
            # Its time is the watermark that it brings, with no lateness taken off.
            clock.raise_to(read.time_us)
            return Taken()
        late = clock.is_late(read.time_us)
        clock.observe(read.time_us)
        if isinstance(read, Dropped):
            return Taken(late=late)
        event = self._event(read, late=late)
        return Taken(self._facts(event), late=late)

    def _event(self, record: Record, *, late: bool) -> Event:
        return make_event(
            Identity(record.source, record.type, record.id),
            record_id=record.record_id,
            sequence=record.sequence,
            time_us=record.time_us,
            data=record.data,
            late=late,
            timing=self.timing,
        )

    def _facts(self, event: Event) -> tuple[Fact, ...]:
        return tuple(
            Fact(key_of(by, str(value)), event)
            for by in self._screen.keys(event.identity.type, event.fields)
            if (value := event.fields.get(KEYS[by])) is not None
        )
