"""From a record as it came to the facts that are worth keeping, the same for bus and replay."""

from dataclasses import dataclass
from functools import partial

from rules.authoring.people import People
from rules.events import KEYS
from rules.fact import Event, Fact, Identity, key_of, make_event
from rules.rule import RuleSet
from rules.screen import Screen
from rules.timing import Timing
from rules.watermark import FeedClock
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
        self.first_look = FirstLook(rule_set, timing, self.people.sides, reads_all=validates_all)
        self._screen = Screen(rule_set)
        self._timing = timing
        self._pseudonyms = pseudonyms

    def take(self, raw: bytes, clock: FeedClock, *, now_us: int) -> Taken:
        """Return what a record of a feed partition comes to, and move the partition's clock.

        Args:
            raw: the record as it came.
            clock: the clock of the partition that brought it.
            now_us: ingest's clock, by which records of the future are refused.
        """
        taken = self.admit(self.read(raw, now_us=now_us), clock)
        self.people.thin()
        return taken

    def read(self, raw: bytes, *, now_us: int, trust_recorded: bool = False) -> Read:
        """Return the checked record, or why it is refused, or that no rule needs it.

        Never raises for what a sender sent.

        A recorded log's own `recordedtime` stands in for the clock if `trust_recorded`.
        """
        dropped = self.first_look.dropped(raw, now_us=now_us, trust_recorded=trust_recorded)
        return dropped or self.read_whole(raw, now_us=now_us, trust_recorded=trust_recorded)

    def read_whole(
        self, raw: bytes, *, now_us: int, trust_recorded: bool = False
    ) -> Record | Refusal:
        """Return the checked record or why it is refused, whether a rule needs it or not."""
        try:
            settle_us = self._timing.settle
            return plain_record(
                raw, settle_us=settle_us, now_us=now_us, trust_recorded=trust_recorded
            ) or decode_record(
                raw, settle_us=settle_us, now_us=now_us, trust_recorded=trust_recorded
            )
        # One record must not stop the stream, whatever bug it meets; it is named in the open.
        except Exception as error:  # noqa: BLE001 - see above
            # The error's own text stays out: it could hold what the record holds.
            return Refusal("internal", f"{type(error).__name__} while it was read", None)

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
        # Before pseudonyms, a person is told by the text that both sides have to agree on.
        person = read.data.get("person")
        if person is not None and read.spec.side != "everyone":
            self.people.note(read.spec.side, str(person))
        event = self._event(read, late=late)
        return Taken(self._facts(event), late=late)

    def _event(self, record: Record, *, late: bool) -> Event:
        return make_event(
            Identity(record.source, record.type, record.id),
            record_id=record.record_id,
            sequence=record.sequence,
            time_us=record.time_us,
            data=self._pseudonyms.apply(record.type, record.data),
            late=late,
            timing=self._timing,
        )

    def _facts(self, event: Event) -> tuple[Fact, ...]:
        return tuple(
            Fact(key_of(by, str(value)), event)
            for by in self._screen.keys(event.identity.type, event.fields)
            if (value := event.data.get(KEYS[by])) is not None
        )
