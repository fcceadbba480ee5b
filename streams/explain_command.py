"""What `ringfence explain` does: one rule, one key and logs or live facts in, the reasons out."""

import asyncio
import os
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from rules.alert import Alert
from rules.authoring.explain import Explanation, NoAnchorError, explain
from rules.events import KEYS
from rules.fact import Event
from rules.language.mistakes import quoted, suggestion
from rules.rule import By, Rule, RuleSet
from rules.stages import event_of
from streams.clock import now_us
from streams.failures import SettingsError, UsageFailure
from streams.ingest import Ingest
from streams.joining import look_up_epoch
from streams.key_facts import read_key_facts
from streams.key_records import KeyRecords, pseudonym_of
from streams.logs import STDIN, open_log
from streams.replay import Replay
from streams.replay_command import pseudonyms_of
from streams.rule_files import read_rules
from streams.settings import Settings, load_settings
from streams.states import stages_of
from streams.wire.pseudonyms import Pseudonyms

_SHOWN: Final = 5
_PSEUDONYM: Final = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class ExplainRequest:
    """The command's options, as given."""

    logs: tuple[str, ...]
    rule: str
    key: str
    facts: bool = False
    bootstrap_servers: str | None = None
    rules: Path | None = None
    params: Path | None = None
    lateness: str | None = None
    anchor: str | None = None
    form: Literal["text", "json"] = "text"


@dataclass(frozen=True)
class _Found:
    """What lies under the key, where it was looked for, and what else there is to say of it."""

    events: Sequence[Event]
    where: str
    read: str
    more: Sequence[str]

    def notes(self) -> list[str]:
        """Return what a reader of the explanation has to know of the records, in sentences."""
        late = sorted(event.identity.id for event in self.events if event.late)
        notes = []
        if late:
            notes.append(
                f"{', '.join(late[:_SHOWN])}{', …' * (len(late) > _SHOWN)} came late, so the"
                " engine may have closed an alert before"
            )
        return [*notes, *self.more]


def run_explain(request: ExplainRequest) -> None:
    """Write to standard output why the rule matched under the key, or its nearest miss.

    Raises:
        Failure: a setting, rule file, log, the rule, the key or the anchor is not as it should be.
    """
    settings = load_settings(
        os.environ,
        rules=request.rules,
        params=request.params,
        lateness=request.lateness,
        kafka_bootstrap_servers=request.bootstrap_servers,
    )
    _check_source(request)
    rule_set = read_rules(settings.rules, settings.timing, settings.params)
    rule = _rule(rule_set, request.rule)
    if request.facts:
        # Those of a replay without a secret would be nobody's on a bus.
        settings.secret()
    pseudonyms = pseudonyms_of(settings)
    value = _value(rule, request, pseudonyms)
    if request.facts:
        found = asyncio.run(_read_facts(rule_set, (rule, value), settings, request.anchor))
    else:
        found = _read(request.logs, rule_set, (rule, value), settings, pseudonyms)
    if not found.events:
        raise UsageFailure(
            f"no event in {found.where} has this {rule.by} as its key ({found.read} read); is it"
            " spelled as the records have it, and the pseudonym key the same?"
            f"{_refused(found)}"
        )
    try:
        explanation = explain(rule, found.events, request.anchor)
    except NoAnchorError as error:
        raise UsageFailure(f"--anchor: {error}") from error
    _write(request, rule, value, explanation, found)


def _check_source(request: ExplainRequest) -> None:
    if bool(request.logs) == request.facts:
        raise UsageFailure("wanted recorded logs, or --facts for the live facts log, and not both")
    if request.facts and request.lateness is not None:
        raise UsageFailure("--lateness: facts have been found late or not by the worker already")


def _refused(found: _Found) -> str:
    """Return what of the dead letters may be the reason that there is nothing."""
    letters = [note for note in found.more if note.startswith("refused: ")]
    return "".join(f"; {letter}" for letter in letters)


def _rule(rule_set: RuleSet, rule_id: str) -> Rule:
    for rule in rule_set.rules:
        if rule.id == rule_id:
            return rule
    hint = suggestion(rule_id, [rule.id for rule in rule_set.rules], "rules")
    raise UsageFailure(f"--rule: there is no rule {quoted(rule_id)}; {hint}")


def _value(rule: Rule, request: ExplainRequest, pseudonyms: Pseudonyms) -> str:
    """Return the key's value as facts have it.

    What stands behind the colon is never repeated in a text: it may name a person.
    """
    by, colon, text = request.key.partition(":")
    if not colon:
        raise SettingsError(f"--key: wanted its kind and its value, such as {rule.by}:-")
    if by not in KEYS:
        hint = suggestion(by, KEYS, "kinds")
        raise SettingsError(f"--key: {quoted(by)} is no kind of key; {hint}")
    if by != rule.by:
        raise SettingsError(f"--key: rule {rule.id} correlates by {rule.by}, not by {by}")
    if text == STDIN:
        if STDIN in request.logs:
            raise SettingsError("--key: standard input cannot be both a log and the key")
        text = sys.stdin.readline().strip()
    if not text:
        raise SettingsError(f"--key: there is nothing behind {by}:")
    return text if _PSEUDONYM.fullmatch(text) else pseudonym_of(rule.by, text, pseudonyms)


def _read(
    logs: Sequence[str],
    rule_set: RuleSet,
    of: tuple[Rule, str],
    settings: Settings,
    pseudonyms: Pseudonyms,
) -> _Found:
    (rule, value), as_of_us = of, now_us()
    records = KeyRecords(
        rule.by, value, settings.timing, pseudonyms, settings.lateness_us, as_of_us=as_of_us
    )
    if rule.reads_alerts and STDIN in logs:
        raise UsageFailure(
            f"rule {rule.id} reads alerts, so logs are read twice, and standard input cannot be"
        )
    for place, name in enumerate(logs):
        with open_log(name) as log:
            records.read(log, place)
    events = list(records.events)
    if rule.reads_alerts:
        first = rule_set.first_stage
        ingest = Ingest(first, settings.timing, pseudonyms)
        replay = Replay(first, ingest, settings.lateness_us, as_of_us=as_of_us)
        events += _alerts(replay, logs, rule.by, value)
    plural = "record breaks" if records.refused == 1 else "records break"
    refused = f"{records.refused:,} {plural} the event contract and counted for nothing"
    more = [refused] if records.refused else []
    return _Found(events, "these logs", f"{records.records:,} records", more)


async def _read_facts(
    rule_set: RuleSet, of: tuple[Rule, str], settings: Settings, anchor: str | None
) -> _Found:
    rule, value = of
    remedy = "give this command settings, rules and key of the worker"
    epoch = await look_up_epoch(settings, rule_set, remedy=remedy)
    stages = stages_of(epoch, rule_set)
    stage = stages[-1] if rule.reads_alerts else stages[0]
    reading = await read_key_facts(settings, stage, rule, value, anchor)
    return _Found(reading.facts.events, reading.where, reading.rows, list(reading.notes()))


def _alerts(replay: Replay, logs: Sequence[str], by: By, value: str) -> Sequence[Event]:
    """Return as events the alerts that a replay of the logs ends with and that name a key."""
    last: dict[str, Alert] = {}

    def note(alert: Alert) -> None:
        if alert.content.get(KEYS[by]) == value:
            last[alert.alert_id] = alert
        else:
            last.pop(alert.alert_id, None)

    with ExitStack() as stack:
        opened = [stack.enter_context(open_log(name)) for name in logs]
        replay.run(opened, note, lambda _letter: None)
    return [event_of(alert) for alert in last.values()]


def _write(
    request: ExplainRequest, rule: Rule, value: str, explanation: Explanation, found: _Found
) -> None:
    if request.form == "json":
        whole = {
            "by": rule.by,
            "key": value,
            **explanation.as_json(),
            "notes": found.notes(),
        }
        sys.stdout.buffer.write(msgspec.json.encode(whole) + b"\n")
        return
    count = len(found.events)
    events = "1 event" if count == 1 else f"{count:,} events"
    lines = [f"{rule.by} {value}: {events}", *explanation.as_lines()]
    lines += [f"note: {note}" for note in found.notes()]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
