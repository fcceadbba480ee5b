"""`ringfence explain --facts` over a facts log in memory: what it adds to the explanation."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from rules.fact import Mark
from rules.moment import DAY_US, HOUR_US
from rules.watermark import NEVER_US, FeedClock
from streams.cli.explain import explain
from streams.epochs_topic import epochs_topic
from streams.failures import Failure
from streams.ingest import Ingest
from streams.rule_files import read_rules
from streams.settings import load_settings
from streams.states import FactsState, stages_of
from streams.succession import Succession, encode_succession
from streams.topics import make_entry
from streams.wire.commits import Point
from streams.wire.facts import encode_fact, encode_mark
from streams.wire.pseudonyms import Pseudonyms
from tests.streams.memory_kafka import MemoryKafka
from tests.streams.worker_parts import (
    CAMPAIGNS,
    RULE,
    SECOND_US,
    SECRET,
    TEN_O_CLOCK,
    call,
    transfer,
)

GOLDEN = Path(__file__).parent / "golden"
LETTERS = "ringfence.dead-letters"
NAME = "video_call_then_new_payee"

app = typer.Typer()
app.command()(explain)


class Bench:
    """What a worker would have written, written by hand."""

    def __init__(self, kafka: MemoryKafka, rules: Path, environ: Mapping[str, str]) -> None:
        self.kafka = kafka
        self.environ = {
            "RINGFENCE_PSEUDONYM_KEY": SECRET,
            "RINGFENCE_RULES": str(rules),
            **environ,
        }
        self.settings = load_settings(self.environ)
        self.rules = read_rules(rules, self.settings.timing)
        roster = {"calls": 1, "transactions": 1}
        entry = make_entry(self.settings, self.rules, roster, Succession())
        epoch = entry.epoch({entry.facts_topic: 2})
        self.first, *self.others = stages_of(epoch, self.rules)
        begun = Succession(1, (entry,))
        kafka.append(epochs_topic(self.settings), encode_succession(begun))
        pseudonyms = Pseudonyms(SECRET.encode(), frozenset())
        self.ingest = Ingest(self.rules, self.settings.timing, pseudonyms)
        for topic in ("calls", "transactions", self.settings.alerts_topic, LETTERS):
            kafka.append(topic)
        for stage in (self.first, *self.others):
            for partition in range(2):
                kafka.append(stage.log.name, partition=partition)

    def tell(self, raw: bytes, *, late: bool = False) -> None:
        """Append the facts of a record."""
        watermark_us = 2 * TEN_O_CLOCK if late else NEVER_US
        read = self.ingest.read_whole(raw, now_us=TEN_O_CLOCK + DAY_US)
        taken = self.ingest.admit(read, FeedClock(0, watermark_us))
        log = self.first.log
        for fact in taken.facts:
            key, value = encode_fact(fact)
            self.kafka.append(log.name, value, key=key, partition=log.partition_of(key))

    def mark(self, watermark_us: int, feed: str | None = None) -> None:
        """Tell both partitions how far both feeds have come, or one of them."""
        log = self.first.log
        for name in (feed,) if feed else log.roster:
            row = encode_mark(Mark(name, 0, watermark_us), log.roster)
            for partition in range(log.size):
                self.kafka.append(log.name, row, partition=partition)

    def pass_on(self) -> None:
        """Append to the second facts log what the alerts of the first stage are there."""
        (second,) = self.others
        unheard = dict.fromkeys(self.first.log.feed_partitions, NEVER_US)
        for partition in range(2):
            state = FactsState(self.first, self.settings.timing, Point(0, unheard))
            for fact in state.observe(self.kafka.logs[self.first.log.name, partition]).facts:
                key, value = encode_fact(fact)
                into = second.log.partition_of(key)
                self.kafka.append(second.log.name, value, key=key, partition=into)

    def asked(
        self, *arguments: str, key: str = "person:cust-1", environ: Mapping[str, str] | None = None
    ) -> Result:
        """Ask for a rule and a key."""
        rule = [] if "--rule" in arguments else ["--rule", NAME]
        given = ["--facts", *rule, "--key", key, *arguments]
        return CliRunner().invoke(app, given, env=self.environ if environ is None else environ)

    def notes(self, *arguments: str, key: str = "person:cust-1") -> list[str]:
        """Return what is said beside the explanation."""
        result = self.asked(*arguments, "--format", "json", key=key)
        assert result.exit_code == 0, result.exception
        notes: list[str] = json.loads(result.stdout)["notes"]
        return notes


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Bench:
    """Give a facts log that is empty; a parameter is further settings."""
    rules = tmp_path / "rules"
    rules.mkdir()
    for name, text in {f"{NAME}.yaml": RULE, **CAMPAIGNS}.items():
        (rules / name).write_text(text, encoding="utf-8")
    kafka = MemoryKafka()
    kafka.use(monkeypatch)
    return Bench(kafka, rules, getattr(request, "param", {}))


def sentence(result: Result, code: int = 2) -> str:
    assert isinstance(result.exception, Failure), result.exception
    assert result.exception.exit_code == code
    assert result.stdout == ""
    assert "cust-" not in str(result.exception)
    return str(result.exception)


def test_a_match_is_explained_with_the_alert_that_the_worker_made(bench: Bench) -> None:
    bench.tell(call(1, TEN_O_CLOCK))
    bench.tell(transfer(1, TEN_O_CLOCK + 60 * SECOND_US))
    bench.mark(TEN_O_CLOCK + HOUR_US)
    said = bench.asked().stdout.replace(bench.first.log.name, "ringfence.facts.0123abcd")
    assert said == (GOLDEN / "explain_facts.txt").read_text(encoding="utf-8")


def test_an_alert_may_be_final_withdrawn_late_or_not_be_there_yet(bench: Bench) -> None:
    bench.tell(call(1, TEN_O_CLOCK))
    assert "of these facts the worker has made no alert of this rule" in bench.notes()
    assert "nothing becomes final before calls:0, transactions:0 has been heard" in bench.notes()
    bench.tell(transfer(1, TEN_O_CLOCK + 60 * SECOND_US))
    bench.mark(TEN_O_CLOCK + HOUR_US, "calls")
    assert any(note.endswith(": raised, not final, about p-1") for note in bench.notes())
    assert "nothing becomes final before transactions:0 has been heard" in bench.notes()
    bench.tell(transfer(1, TEN_O_CLOCK + 60 * SECOND_US, "rejected", 1))
    assert any(note.endswith(": withdrawn, not final, about p-1") for note in bench.notes())
    bench.tell(transfer(2, TEN_O_CLOCK + 90 * SECOND_US, person="cust-1"), late=True)
    assert any(note.endswith(": raised, not final, late, about p-2") for note in bench.notes())
    assert bench.notes()[0].startswith("p-2 came late, so the engine may have closed an alert")
    bench.mark(TEN_O_CLOCK + DAY_US)
    assert any(note.endswith(": raised, final, late, about p-2") for note in bench.notes())


def test_what_came_too_late_and_what_was_let_go_are_told_apart(bench: Bench) -> None:
    bench.tell(call(1, TEN_O_CLOCK))
    bench.mark(TEN_O_CLOCK + 3 * DAY_US)
    bench.tell(transfer(1, TEN_O_CLOCK + 60 * SECOND_US))
    notes = bench.notes()
    too_late = "since all that they could matter to was final before they came: p-1"
    assert f"counted for nothing, {too_late}" in notes
    (let_go,) = [note for note in notes if note.startswith("let go by now, more than ")]
    assert let_go.endswith(" after they started: c-1")
    assert "of these facts the worker has made no alert of this rule" in notes


@pytest.mark.parametrize("bench", [{"RINGFENCE_MAX_HISTORY": "2"}], indirect=True)
def test_what_a_flood_limit_took_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(4):
        bench.tell(call(n, TEN_O_CLOCK - n * SECOND_US, person="cust-1"))
    bench.tell(transfer(1, TEN_O_CLOCK + 60 * SECOND_US))
    assert "dropped by the flood limit of the worker: 2 events of this key" in bench.notes()
    monkeypatch.setattr("rules.matching.MAX_TRIED", 0)
    assert "the worker's search for a match ended early at the flood limit" in bench.notes()


def test_a_refused_record_of_an_event_or_of_the_anchor_is_named(bench: Bench) -> None:
    bench.tell(call(1, TEN_O_CLOCK))
    bench.tell(transfer(1, TEN_O_CLOCK + 60 * SECOND_US))
    told = {"detail": "d", "feed": "transactions", "partition": 0, "sha256": "", "type": ""}
    source, wire_type = "//sender.example/test", "ringfence.transfer.v1"
    about = (
        {"reason": "bad_value", "field": "data.amount", "id": "p-1", "source": source},
        {"reason": "future", "id": "else", "source": source},
        {"reason": "not_json"},
    )
    for offset, letter in enumerate(about):
        row = {**told, **letter, "type": wire_type, "offset": offset}
        bench.kafka.append(LETTERS, json.dumps(row).encode())
    assert bench.notes()[-1] == "refused: p-1 at transactions:0:0, bad_value data.amount"
    said = sentence(bench.asked("--anchor", "else", key="person:nobody"))
    assert said.endswith("the same?; refused: else at transactions:0:1, future")
    for offset in range(3, 10):
        row = {**told, **about[0], "type": wire_type, "offset": offset}
        bench.kafka.append(LETTERS, json.dumps(row).encode())
    assert bench.notes()[-1] == "refused: 3 more; see ringfence dead-letters list"


def test_a_rule_that_reads_alerts_is_explained_from_the_second_facts_log(bench: Bench) -> None:
    for n in (1, 2):
        bench.tell(call(n, TEN_O_CLOCK))
        bench.tell(transfer(n, TEN_O_CLOCK + 60 * SECOND_US, payee="account-1"))
    bench.pass_on()
    result = bench.asked("--rule", "many_victims", key="payee:account-1")
    assert "many_victims 1.0.0 matches at hits" in result.stdout
    assert f" rows read from topic {bench.others[0].log.name} partition " in result.stdout
    # An alert that is withdrawn is none of its events.
    bench.tell(transfer(2, TEN_O_CLOCK + 60 * SECOND_US, "rejected", 1, payee="account-1"))
    bench.kafka.logs.update({(bench.others[0].log.name, n): [] for n in range(2)})
    bench.pass_on()
    result = bench.asked("--rule", "many_victims", key="payee:account-1")
    assert result.stdout.split(": ", 1)[1].startswith("1 event\n")
    assert "hits: count(hits.person) 1, wanted ≥ 2" in result.stdout


def test_rows_that_retention_has_deleted_or_an_operator_steps_over_are_told(bench: Bench) -> None:
    bench.tell(call(1, TEN_O_CLOCK))
    bench.tell(transfer(1, TEN_O_CLOCK + 60 * SECOND_US))
    (partition,) = {
        n
        for (topic, n), rows in bench.kafka.logs.items()
        if rows and topic == bench.first.log.name
    }
    place = (bench.first.log.name, partition)
    bench.kafka.append(place[0], b"no row of ours", key=b"person:nobody", partition=partition)
    assert bench.notes()
    bench.kafka.append(place[0], b"no row of ours", partition=partition)
    said = sentence(bench.asked(), 3)
    assert said == f"{place[0]}:{partition}:3: a row of the facts log cannot be read: DecodeError"
    skips = {**bench.environ, "RINGFENCE_SKIP": f"{place[0]}:{partition}:3"}
    assert bench.asked(environ=skips).exit_code == 0
    bench.kafka.logs[place] = bench.kafka.logs[place][1:2]
    bench.kafka.deleted[place] = 1
    assert "the rows before offset 1 are deleted, whatever they held" in bench.notes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["log.jsonl"], "wanted recorded logs, or --facts for the live facts log, and not both"),
        (["--lateness", "1h"], "--lateness: facts have been found late or not by the worker"),
    ],
)
def test_a_wrong_request_gets_one_sentence(bench: Bench, arguments: list[str], said: str) -> None:
    assert sentence(bench.asked(*arguments)).startswith(said)


def test_it_takes_the_secret_of_the_worker(bench: Bench) -> None:
    said = sentence(bench.asked(environ={"RINGFENCE_RULES": bench.environ["RINGFENCE_RULES"]}))
    assert said.startswith("RINGFENCE_PSEUDONYM_KEY: there is no secret")
    others = {**bench.environ, "RINGFENCE_PSEUDONYM_KEY": "another secret than the worker's"}
    said = sentence(bench.asked(environ=others))
    assert "key make another one" in said
    assert said.endswith("; give this command settings, rules and key of the worker")


def test_without_logs_and_without_facts_there_is_nothing_to_explain() -> None:
    result = CliRunner().invoke(app, ["--rule", NAME, "--key", "person:x"])
    assert sentence(result).startswith("wanted recorded logs, or --facts")
