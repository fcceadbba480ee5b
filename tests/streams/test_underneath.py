"""What the worker takes for granted of Faust and aiokafka: these fail when it changes."""

import inspect
from importlib.metadata import version

import faust
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from faust.app import BootStrategy
from mode import CrashingSupervisor

NOBODY = "127.0.0.1:1"


@pytest.mark.parametrize(
    ("package", "read"),
    [("faust-streaming", "0.15.3"), ("aiokafka", "0.14.0")],
)
def test_the_releases_are_those_whose_source_was_read(package: str, read: str) -> None:
    """The intake rests on how these behave, not on what they promise: read them again first."""
    assert version(package) == read


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (AIOKafkaConsumer.getmany, {"timeout_ms", "max_records"}),
        (AIOKafkaConsumer.commit, {"offsets"}),
        (AIOKafkaConsumer.subscribe, {"topics", "listener"}),
        (AIOKafkaConsumer.seek, {"partition", "offset"}),
        (AIOKafkaConsumer.highwater, {"partition"}),
        (AIOKafkaConsumer.last_poll_timestamp, {"partition"}),
        (AIOKafkaConsumer.position, {"partition"}),
        (AIOKafkaProducer.create_batch, set()),
        (AIOKafkaProducer.send_batch, {"batch", "topic", "partition"}),
        (AIOKafkaAdminClient.list_consumer_group_offsets, {"group_id", "partitions"}),
    ],
)
def test_what_is_called_can_be_called_like_this(method: object, parameters: set[str]) -> None:
    assert callable(method)
    assert parameters <= set(inspect.signature(method).parameters)


def test_seeking_and_pausing_await_nothing() -> None:
    # Were they coroutines, a fetch could slip in between the assignment and the guard.
    for name in ("pause", "resume", "seek"):
        assert not inspect.iscoroutinefunction(getattr(AIOKafkaConsumer, name))


def test_listeners_are_called_where_the_group_awaits_them_and_what_they_raise_is_swallowed() -> (
    None
):
    for name in ("_on_join_prepare", "_on_join_complete"):
        source = inspect.getsource(getattr(GroupCoordinator, name))
        assert "if asyncio.iscoroutine(res):" in source
        assert "except Exception:" in source
    assert "on_partitions_revoked" not in inspect.getsource(AIOKafkaConsumer.stop)


def test_a_position_is_asked_for_before_it_is_asked_whether_a_partition_is_paused() -> None:
    # So a paused partition without a position makes reading fail, where nothing resets it.
    source = inspect.getsource(Fetcher)
    wanted = source.index("elif not tp_state.has_valid_position:")
    assert wanted < source.index("elif tp_state.paused:", wanted)
    assert "err = Errors.NoOffsetForPartitionError(tp)" in source


async def test_batches_take_records_until_they_are_full_and_always_the_first() -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=NOBODY, enable_idempotence=True, max_batch_size=1_000
    )
    batch = producer.create_batch()
    assert batch.append(timestamp=None, key=b"k", value=b"v" * 2_000) is not None
    assert batch.append(timestamp=None, key=b"k", value=b"v" * 2_000) is None
    assert batch.record_count() == 1
    await producer.stop()


def test_faust_can_do_without_its_own_consumer_and_producer() -> None:
    source = inspect.getsource(BootStrategy)
    assert "if self._should_enable_kafka_consumer():" in source
    assert "if self._should_enable_kafka_producer():" in source
    for name in ("on_start", "on_first_start", "on_started_init_extra_services"):
        assert inspect.iscoroutinefunction(getattr(faust.App, name))


def test_a_crashing_supervisor_supervises_nothing_so_that_a_failure_reaches_the_worker() -> None:
    source = inspect.getsource(CrashingSupervisor._contribute_to_service)  # noqa: SLF001 - it is what is tested
    assert source.rstrip().endswith("pass")
