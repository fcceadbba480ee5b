"""What stops a worker by name: something outside is not as it was."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.bus import Bus as WorkersBus
from streams.topics import connected
from tests.broker.bus import Bus
from tests.broker.worker_site import PATIENCE_S, Site, open_site, run_command, worker
from tests.streams.worker_parts import TEN_O_CLOCK

pytestmark = pytest.mark.broker


@pytest.fixture
async def site(bus: Bus, names: Callable[[str], str], tmp_path: Path) -> AsyncIterator[Site]:
    """Give a site whose topics are there."""
    async with open_site(bus, names, tmp_path) as site:
        await site.make_topics()
        yield site


async def after_some_work(site: Site, journal: Path) -> None:
    """Let a worker do some work, and stop."""
    with worker(site.environ, journal) as process:
        await site.send_calls(range(20))
        await site.until_caught_up()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 30) == 0


async def last_words(site: Site, journal: Path) -> str:
    """Return the last line of a worker that ends because of something outside."""
    with worker(site.environ, journal) as process:
        assert await asyncio.to_thread(process.wait, PATIENCE_S) == 3
    return (await asyncio.to_thread(journal.read_text)).splitlines()[-1]


async def delete_rows(site: Site, topic: str, partition: int, before: int) -> None:
    """Let the broker delete rows, as retention does."""
    async with connected(site.settings) as admin:
        place = TopicPartition(topic, partition)
        await admin.delete_records({place: RecordsToDelete(before)})


async def test_topics_that_are_there_are_left_as_they_are(site: Site) -> None:
    again = await asyncio.to_thread(
        run_command, site.environ, "topics", "create", "--inputs", "--partitions", "2"
    )
    assert again.returncode == 0
    lines = again.stderr.splitlines()
    assert len(lines) == 7
    assert all(line.startswith("was there: ") for line in lines)
    (of_epochs,) = [line for line in lines if not line.endswith(", 2 partitions")]
    assert of_epochs.endswith(".epochs, 1 partition")


async def test_the_facts_log_keeps_its_rows_by_the_time_of_appending(site: Site) -> None:
    epoch = await site.epoch()
    async with connected(site.settings) as admin:
        found = await settings_of_topic(admin, epoch.facts_topic)
        alerts = await settings_of_topic(admin, site.settings.alerts_topic)
    assert found["message.timestamp.type"] == "LogAppendTime"
    assert int(found["retention.ms"]) >= 7 * 24 * 3600 * 1000
    assert found["cleanup.policy"] == alerts["cleanup.policy"] == "delete"


async def settings_of_topic(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    """Return a topic's settings."""
    (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return {entry[0]: entry[1] for entry in response.resources[0][4]}


async def test_a_facts_log_with_more_partitions_than_before_is_refused(
    site: Site, tmp_path: Path
) -> None:
    await after_some_work(site, tmp_path / "journal")
    epoch = await site.epoch()
    async with connected(site.settings) as admin:
        await admin.create_partitions({epoch.facts_topic: NewPartitions(3)})
    said = await last_words(site, tmp_path / "journal")
    assert said.startswith(f'ringfence: topic "{epoch.facts_topic}" has 3 partitions')
    assert "was made with 2" in said


async def test_facts_that_a_rebuild_needs_and_that_are_deleted_stop_the_worker(
    site: Site, tmp_path: Path
) -> None:
    await after_some_work(site, tmp_path / "journal")
    epoch = await site.epoch()
    for partition in range(2):
        await delete_rows(site, epoch.facts_topic, partition, 2)
    said = await last_words(site, tmp_path / "journal")
    assert "begins at offset 2 and its state rests on what was at 0" in said


async def test_records_that_are_deleted_before_they_are_read_stop_the_worker(
    site: Site, tmp_path: Path
) -> None:
    await after_some_work(site, tmp_path / "journal")
    await site.send_calls(range(20, 40))
    calls = site.settings.calls_topics[0]
    await delete_rows(site, calls, 1, 15)
    said = await last_words(site, tmp_path / "journal")
    expected = f"retention has deleted rows not read yet ({calls} 1 at 10)"
    assert said == f"ringfence: {expected}; see RINGFENCE_START"


async def test_a_group_without_commits_begins_where_it_is_told(site: Site) -> None:
    await site.send_calls(range(6))
    await delete_rows(site, site.settings.calls_topics[0], 0, 1)
    place = (site.settings.calls_topics[0], 0)
    bus = WorkersBus(site.settings, "nobody")
    assert await bus.start_of(place, "earliest") == 1
    assert await bus.start_of(place, "latest") == 3
    # Of Kafka's timestamps, which say when a record was sent and not what it tells of.
    assert await bus.start_of(place, TEN_O_CLOCK) == 1
    assert await bus.start_of(place, 2 * TEN_O_CLOCK) == 3
