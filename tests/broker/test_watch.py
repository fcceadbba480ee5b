"""What a running worker shows of itself: health, readiness and metrics, on a real Kafka."""

import asyncio
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streams.brokers import free_ports
from streams.metrics import METRICS
from tests.broker.bus import Bus
from tests.broker.worker_site import PATIENCE_S, Site, open_site, worker
from tests.streams.worker_parts import SECOND_US, TEN_O_CLOCK, call

pytestmark = pytest.mark.broker


@dataclass
class Watched:
    """A running worker, and its pages."""

    process: subprocess.Popen[bytes]
    port: int
    journal: Path

    def page(self, path: str) -> tuple[int, str]:
        """Return the status and the text of a page; 0 if nobody answers within two seconds."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as got:
                return got.status, got.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()
        except OSError as error:
            return 0, type(error).__name__

    async def status(self, path: str) -> int:
        """Return the status of a page."""
        return (await asyncio.to_thread(self.page, path))[0]

    async def until(self, path: str, status: int) -> str:
        """Wait until a page has a status, and return its text."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found, text = await asyncio.to_thread(self.page, path)
                if found == status:
                    return text
                assert self.process.poll() is None, self.journal.read_text()
                await asyncio.sleep(0.1)

    async def metrics(self) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
        """Return all samples: by name, then by labels."""
        status, text = await asyncio.to_thread(self.page, "/metrics")
        assert status == 200
        found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = tuple(sorted(sample.labels.items()))
                found.setdefault(sample.name, {})[labels] = sample.value
        return found


@asynccontextmanager
async def watched_site(
    bus: Bus, names: Callable[[str], str], folder: Path, **more: str
) -> AsyncIterator[tuple[Site, int]]:
    """Give a site whose worker has pages, and their port."""
    port = free_ports(1)[0]
    settings = {"RINGFENCE_WEB_PORT": str(port), "RINGFENCE_STALLED_AFTER": "2s", **more}
    async with open_site(bus, names, folder, **settings) as site:
        await site.make_topics()
        yield site, port


async def test_every_metric_of_the_list_is_told_and_no_other(
    bus: Bus, names: Callable[[str], str], tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    async with watched_site(bus, names, tmp_path) as (site, port):
        with worker(site.environ, journal) as process:
            watched = Watched(process, port, journal)
            assert await watched.until("/readyz", 200) == "ok\n"
            calls = site.settings.calls_topics[0]
            await site.send_calls(range(40))
            await site.send_transfers(range(40))
            await site.send(calls, [b"{not json", call(99, TEN_O_CLOCK - 90_000 * SECOND_US)])
            await site.send_end()
            await site.until_caught_up()
            found = await watched.metrics()
            status, text = await asyncio.to_thread(watched.page, "/metrics")
            assert await watched.status("/healthz") == 200
            raw = [word for word in ("cust-", "acc-", "account-", "desk@") if word in text]
        epoch = await site.epoch()
    assert status == 200
    assert raw == []
    told = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert {m.name for m in METRICS} <= told
    assert {name for name in told if name.startswith("ringfence_")} <= {m.name for m in METRICS}
    of_calls = (("topic", calls),)
    assert found["ringfence_records_total"][of_calls] == 44
    assert found["ringfence_late_records_total"][of_calls] == 1
    assert found["ringfence_dead_letters_total"][("reason", "not_json"),] == 1
    assert found["ringfence_dead_letters_total"][("reason", "future"),] == 0
    victims = [n for n in range(40) if n % 5 and n % 7]
    final = (("final", "true"), ("rule", "video_call_then_new_payee"), ("state", "raised"))
    assert found["ringfence_alert_records_total"][final] == len(victims)
    facts = (("topic", epoch.facts_topic),)
    assert found["ringfence_decision_seconds_count"][facts] >= len(victims)
    assert found["ringfence_decision_seconds_sum"][facts] > 0
    assert found["ringfence_people"] == {
        (("side", "calls"),): 41,
        (("side", "bank"),): 40,
        (("side", "both"),): 40,
    }
    assert set(found["ringfence_lag_records"].values()) == {0}
    assert len(found["ringfence_lag_records"]) == 8
    assert len(found["ringfence_watermark_age_seconds"]) == 4
    assert found["ringfence_lanes"][("stage", "open"),] == 8
    blind = {
        dict(labels)["rule"]: value for labels, value in found["ringfence_rule_blind"].items()
    }
    # Nobody has been cut off by a caller, which only one rule asks for.
    assert blind == {"video_call_then_new_payee": 0, "many_victims": 0, "alert_then_block": 1}


async def test_no_page_of_faust_is_there(
    bus: Bus, names: Callable[[str], str], tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    async with watched_site(bus, names, tmp_path) as (site, port):
        with worker(site.environ, journal) as process:
            watched = Watched(process, port, journal)
            await watched.until("/readyz", 200)
            theirs = ["/", "/table/", "/router/", "/graph/", "/assignment/", "/performance/"]
            assert [await watched.status(path) for path in theirs] == [404] * len(theirs)


async def test_a_worker_that_is_stopped_in_its_tracks_does_not_answer(
    bus: Bus, names: Callable[[str], str], tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    async with watched_site(bus, names, tmp_path) as (site, port):
        with worker(site.environ, journal) as process:
            watched = Watched(process, port, journal)
            await watched.until("/healthz", 200)
            process.send_signal(signal.SIGSTOP)
            assert await watched.status("/healthz") == 0
            process.send_signal(signal.SIGCONT)
            await watched.until("/healthz", 200)


STUCK = """
import asyncio
from streams.agents.correlate import CorrelateStation
from streams.cli import main

async def take(self, batch):
    await asyncio.sleep(3_600)

CorrelateStation.take = take
main()
"""


async def test_a_batch_that_never_comes_back_makes_the_worker_unhealthy_in_one_sentence(
    bus: Bus, names: Callable[[str], str], tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    async with watched_site(bus, names, tmp_path) as (site, port):
        with worker(site.environ, journal, STUCK) as process:
            watched = Watched(process, port, journal)
            await watched.until("/readyz", 200)
            await site.send_calls(range(4))
            said = await watched.until("/healthz", 503)
            assert re.fullmatch(
                r'topic "\S+facts\S+" partition [01] has had work in hand for \d+ s'
                r" and has not moved\n",
                said,
            )
            assert max((await watched.metrics())["ringfence_stalled_lanes"].values()) >= 1


async def test_a_port_that_is_taken_is_named_in_one_sentence(
    bus: Bus, names: Callable[[str], str], tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    async with watched_site(bus, names, tmp_path) as (site, port):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port))
            taken.listen()
            with worker(site.environ, journal) as process:
                assert await asyncio.to_thread(process.wait, 30) == 3
    last = (await asyncio.to_thread(journal.read_text)).splitlines()[-1]
    assert last == (
        f"ringfence: port {port} on 127.0.0.1 cannot be opened: Address already in use;"
        " set RINGFENCE_WEB_PORT or RINGFENCE_WEB_HOST"
    )


async def test_a_client_that_does_not_hang_up_holds_no_worker_back(
    bus: Bus, names: Callable[[str], str], tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    async with watched_site(bus, names, tmp_path) as (site, port):
        with worker(site.environ, journal) as process:
            watched = Watched(process, port, journal)
            await watched.until("/readyz", 200)
            with socket.create_connection(("127.0.0.1", port)) as slow:
                slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: half")
                begun_s = time.monotonic()
                process.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(process.wait, 30) == 0
                assert time.monotonic() - begun_s < 15
