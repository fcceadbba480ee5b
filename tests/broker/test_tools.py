"""The commands for people beside a bus, on a real Kafka with a real worker's topics."""

import asyncio
import gzip
import json
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from rules.moment import format_moment
from streams.clock import now_us
from tests.broker.bus import Bus
from tests.broker.worker_site import PATIENCE_S, Site, final_raised, open_site, worker
from tests.streams.worker_parts import SECOND_US, TEN_O_CLOCK, call, transfer

pytestmark = pytest.mark.broker

NOT_UTF8 = b'{"specversion": "1.0", "id": "\xff"}'
# Its person is withheld from every text that a command prints.
BAD = transfer(900, TEN_O_CLOCK).replace(b'"direction": "out"', b'"direction": "+8613800000900"')


@pytest.fixture
async def site(bus: Bus, names: Callable[[str], str], tmp_path: Path) -> AsyncIterator[Site]:
    """Give a site whose topics are there."""
    async with open_site(bus, names, tmp_path) as site:
        await site.make_topics()
        yield site


async def ringfence(
    site: Site, *arguments: str, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line with the site's settings, as a person does."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "streams.cli", *arguments],
        env={**site.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        input="",
    )


async def work(site: Site, journal: Path) -> None:
    """Let a worker do all that there is to do."""
    with worker(site.environ, journal) as process:
        await site.until_caught_up()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 30) == 0


async def send_in_binary_mode(site: Site, topic: str, record: bytes) -> None:
    """Append a record with its attributes in headers, as CloudEvents has it."""
    told: dict[str, Any] = json.loads(record)
    data = json.dumps(told.pop("data")).encode()
    headers = [(f"ce_{name}", str(value).encode()) for name, value in told.items()]
    async with AIOKafkaProducer(bootstrap_servers=site.bus.address) as producer:
        await producer.send_and_wait(topic, data, partition=1, headers=headers)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


async def test_a_recorded_log_replays_to_the_alerts_that_the_worker_gave(
    site: Site, tmp_path: Path
) -> None:
    calls, transactions = site.settings.outside_topics
    await site.send_calls(range(40))
    await send_in_binary_mode(site, calls, call(900, TEN_O_CLOCK))
    alert = b'{"specversion":"1.0","type":"ringfence.alert.v1","id":"a"}'
    odd = (NOT_UTF8, b"{not json", None, alert)
    await site.bus.produce_all((calls, 0, b"any", value) for value in odd)
    await site.send_transfers(range(40))
    await site.bus.produce(transactions, [transfer(900, TEN_O_CLOCK + 9 * SECOND_US)], 1)
    await site.send_blocks(range(40))
    await site.send_end()
    await work(site, tmp_path / "journal")
    log, letters = tmp_path / "log.jsonl.gz", tmp_path / "letters.jsonl"
    done = await ringfence(site, "record", "--out", str(log), "--dead-letters", str(letters))
    assert done.returncode == 0, done.stderr
    assert (await ringfence(site, "record")).stdout.splitlines() == [
        line.decode() for line in gzip.decompress(log.read_bytes()).splitlines()
    ]
    told = done.stderr.splitlines()
    sent = len(site.sent) + 2
    assert told[0].startswith(f'{sent} records of 4 partitions in "{log}"; they hold raw personal')
    assert told[1] == "no line could be made of 2: not_json 1, not_utf8 1"
    assert told[2] == f"they lie at {calls}:0:20 (not_utf8), {calls}:0:21 (not_json)"
    assert told[3:] == ["alerts left out: 1", "without a value, which the worker skips too: 1"]
    found = [json.loads(line) for line in letters.read_text().splitlines()]
    assert [(x["feed"], x["partition"], x["offset"]) for x in found] == [
        (calls, 0, 20),
        (calls, 0, 21),
    ]
    head = lines(log)[:4]
    assert {x["type"] for x in head} == {"ringfence.heartbeat.v1"}
    assert {(x["feed"], x["partition"]) for x in head} == {
        (t, n) for t in (calls, transactions) for n in (0, 1)
    }
    replayed = await ringfence(site, "replay", str(log), "--summary", "json")
    assert json.loads(replayed.stderr.splitlines()[-1])["joined_late"] == 0
    of_worker = final_raised(await site.alert_records())
    assert len(of_worker) > 40
    assert final_raised([x.encode() for x in replayed.stdout.splitlines()]) == of_worker


async def test_a_window_of_a_topic_lies_between_two_moments_or_offsets(
    site: Site,
) -> None:
    calls = site.settings.calls_topics[0]
    await site.send_calls(range(10))
    await asyncio.sleep(0.05)
    middle = format_moment(now_us())
    await asyncio.sleep(0.05)
    await site.send_calls(range(10, 16))

    async def ids(*arguments: str) -> list[str]:
        done = await ringfence(site, "record", "--topics", calls, *arguments)
        assert done.returncode == 0, done.stderr
        return [json.loads(x)["id"].split("-")[1] for x in done.stdout.splitlines()[2:]]

    assert sorted(await ids("--from", middle)) == sorted(map(str, range(10, 16)))
    assert sorted(map(int, await ids("--to", middle))) == list(range(10))
    assert await ids("--from", f"{calls}:0:7,{calls}:1:8") == ["14"]
    assert await ids("--to", f"{calls}:0:1,{calls}:1:0") == ["0"]
    assert await ids("--from", "latest") == []


async def test_live_facts_are_explained_with_what_the_worker_made_of_them(
    site: Site, tmp_path: Path
) -> None:
    transactions = site.settings.transactions_topics[0]
    await site.send_calls(range(6))
    await site.send_transfers(range(6))
    await site.bus.produce(transactions, [BAD])
    await site.send_end()
    await site.bus.produce(transactions, [transfer(901, TEN_O_CLOCK, person="cust-1")])
    await work(site, tmp_path / "journal")
    arguments = ["explain", "--facts", "--rule", "video_call_then_new_payee"]
    done = await ringfence(site, *arguments, "--key", "person:cust-1", "--format", "json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["matched"], said["anchor"]["id"]) == (True, "p-1")
    raised: list[Any] = list(final_raised(await site.alert_records()).values())
    (of_worker,) = [
        x
        for x in raised
        if x["anchor"]["id"] == "p-1" and x["rule"]["id"] == "video_call_then_new_payee"
    ]
    epoch = await site.epoch()
    assert said["notes"][0].startswith("p-901 came late, so the engine may have closed")
    notes = "\n".join(said["notes"][1:])
    assert f"rows read from topic {epoch.facts_topic} partition " in notes
    assert ", 3 of them of this key" in notes
    assert f"the worker's alert {of_worker['alert_id']}: raised, final, about p-1" in notes
    assert " after they started: c-1, p-1, p-901" in notes
    assert "event time has come to 2023-08-07T10:00:00Z, held up by " in notes
    # The same by pseudonym, and of the same person in words.
    key = ["--key", f"person:{said['key']}"]
    again = await ringfence(site, *arguments, *key)
    assert again.stdout.startswith(f"person {said['key']}: 3 events\nvideo_call_then_new_payee")
    # A call from somebody in the address book is screened out; the transfer is not.
    done = await ringfence(site, *arguments, "--key", "person:cust-0")
    assert "does not match" in done.stdout
    assert "note: of these facts the worker has made no alert of this rule" in done.stdout
    campaign = ["explain", "--facts", "--rule", "many_victims", "--key", "payee:account-1"]
    done = await ringfence(site, *campaign)
    assert "many_victims 1.0.0 matches at hits" in done.stdout
    assert f"topic {epoch.facts2_topic} partition" in done.stdout
    refused = await ringfence(
        site, *arguments, "--key", "person:cust-900", "--anchor", json.loads(BAD)["id"]
    )
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"ringfence: no event in topic {epoch.facts_topic} partition")
    assert refused.stderr.endswith(", bad_value data.direction\n")
    assert f"at {transactions}:0:" in refused.stderr
    assert "cust-" not in done.stdout + done.stderr + refused.stderr


async def test_refused_records_are_listed_shown_masked_and_sent_again(
    bus: Bus, names: Callable[[str], str], tmp_path: Path
) -> None:
    calls, redriven = names("calls"), names("redrive")
    more = {
        "RINGFENCE_CALLS_TOPICS": f"{calls},{redriven}",
        "RINGFENCE_REDRIVE_TOPIC": redriven,
        # As if a bug had been met on a transfer that is in order.
        "RINGFENCE_SKIP": f"{names('transactions')}:0:3",
    }
    async with open_site(bus, names, tmp_path, **more) as site:
        await site.make_topics()
        transactions = site.settings.transactions_topics[0]
        in_order = transfer(1, TEN_O_CLOCK + 60 * SECOND_US)
        await site.bus.produce(calls, [call(1, TEN_O_CLOCK)])
        await site.bus.produce(transactions, [b"", BAD, b"{not json", in_order])
        await send_in_binary_mode(site, calls, call(2, TEN_O_CLOCK).replace(b"video", b"vdieo"))
        await work(site, tmp_path / "journal")
        assert await site.alert_records() == []

        listed = await ringfence(site, "dead-letters", "list")
        letters = [json.loads(line) for line in listed.stdout.splitlines()]
        assert listed.stderr == "5 dead letters: bad_value 2, internal 1, not_json 2\n"
        found = {(x["feed"], x["partition"], x["offset"]) for x in letters}
        assert found == {*((transactions, 0, n) for n in range(4)), (calls, 1, 0)}
        some = await ringfence(
            site, "dead-letters", "list", "--reason", "bad_value", "--feed", calls
        )
        assert [json.loads(x)["field"] for x in some.stdout.splitlines()] == ["data.media"]
        later = format_moment(now_us())
        none = await ringfence(site, "dead-letters", "list", "--since", later)
        assert (none.stdout, none.stderr) == ("", "0 dead letters\n")

        shown = await ringfence(site, "dead-letters", "show", f"{transactions}:0:1")
        said = json.loads(shown.stdout)
        assert said["letter"]["field"] == "data.direction"
        assert said["is_the_record_refused"] is True
        assert said["record"]["data"]["amount"] == "20000"
        assert said["record"]["data"]["person"] == "✱ text of 8 characters"
        assert said["record"]["data"]["direction"] == "✱ text of 14 characters"
        assert "cust-" not in shown.stdout
        unreadable = await ringfence(site, "dead-letters", "show", f"{transactions}:0:2")
        assert json.loads(unreadable.stdout)["unreadable"]["reason"] == "not_json"

        dry = await ringfence(site, "dead-letters", "redrive", "--feed", calls)
        assert dry.stderr == (
            f"1 record: 1 to be sent to {redriven}\nnothing has been sent; say so with --yes\n"
        )
        assert await site.bus.read(redriven) == []
        sent = await ringfence(site, "dead-letters", "redrive", "--yes")
        assert sent.returncode == 0, sent.stderr
        assert sent.stderr == f"5 records: 5 sent to {redriven}\n"
        rows = {bytes(r.value): r.headers for r in await site.bus.read(redriven) if r.value}
        before = {
            bytes(r.value): r.headers
            for topic in (calls, transactions)
            for r in await site.bus.read(topic)
            if r.value and b'"c-1"' not in r.value
        }
        assert rows == before
        # What was in order all along has its effect; the others are refused again, and not sent
        # round and round.
        await work(site, tmp_path / "journal")
        anchors = {json.loads(r)["data"]["anchor"]["id"] for r in await site.alert_records()}
        assert anchors == {"p-1"}
        assert "9 dead letters" in (await ringfence(site, "dead-letters", "list")).stderr
        again = await ringfence(site, "dead-letters", "redrive")
        assert again.stderr.startswith(f"5 records: 5 to be sent to {redriven}\n")


async def test_the_consumer_of_the_documents_knows_in_the_end_what_stands(
    site: Site, tmp_path: Path
) -> None:
    await site.send_calls(range(20))
    await site.send_transfers(range(20))
    await site.send_blocks(range(20))
    await work(site, tmp_path / "journal")
    done = await consume(site, tmp_path)
    first = Counter(line.split(" | ")[0] for line in done.splitlines())
    assert first["act"] > 10
    assert first["close"] == 0
    # As a worker does that was cut off: what it wrote long ago, after all that came since.
    await site.send_end()
    await work(site, tmp_path / "journal")
    old = [r for r in await site.bus.read(site.settings.alerts_topic) if r.value is not None]
    await site.bus.produce_all((r.topic, r.partition, r.key, r.value) for r in old[::-1])
    done = await consume(site, tmp_path)
    then = Counter(line.split(" | ")[0] for line in done.splitlines())
    with closing(sqlite3.connect(tmp_path / "desk.db")) as database:
        rows = [json.loads(said) for (said,) in database.execute("SELECT said FROM alert")]
    stands = {told["alert_id"]: told for told in rows if told["state"] == "raised"}
    without = {i: {k: v for k, v in d.items() if k != "revision"} for i, d in stands.items()}
    assert without == final_raised(await site.alert_records())
    assert then["close"] == len(stands)
    assert all(told["final"] for told in rows)
    # In other words, from the beginning: the repeats and the wrong order make no difference.
    (tmp_path / "desk.db").unlink()
    assert {x.split(" | ")[1] for x in (await consume(site, tmp_path)).splitlines()} >= set(stands)


async def consume(site: Site, folder: Path) -> str:
    """Let the consumer of the documents read the topic to its end; return what it printed."""
    done = await asyncio.to_thread(
        subprocess.run,
        [
            sys.executable,
            "docs/examples/consume_alerts.py",
            *("--broker", site.bus.address, "--topic", site.settings.alerts_topic),
            *("--database", str(folder / "desk.db"), "--once"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
