"""A real Kafka that asks who speaks: workers that get in each way, and the ones that do not."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from streams.clock import now_us
from streams.failures import OutsideFailure
from streams.settings import load_settings
from streams.topics import create_topics
from tests.broker.bus import Bus
from tests.broker.conftest import give_up
from tests.broker.secure_kafka import PASSWORD, PRINCIPAL, SecureBroker, SecureKafka, token
from tests.broker.worker_site import Site, final_raised, open_site, run_command, worker
from tests.certificates import KEY_PASSWORD, Authority
from tests.streams.worker_parts import SECRET

pytestmark = pytest.mark.broker

WAYS = ("TLS", "MUTUAL", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")

# Every logger writes all that it has to say, whatever the worker sets.
LOUD = """
import logging
logging.root.setLevel(logging.DEBUG)
logging.Logger.setLevel = lambda self, level: None
from streams.cli import main
main()
"""


@pytest.fixture(scope="session")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    """Give a Kafka with a listener for each way in."""
    folder = tmp_path_factory.mktemp("secure")
    authority = Authority.make(folder, PRINCIPAL)
    token_file = folder / "token"
    token_file.write_text(token(now_us() // 1_000_000))
    broker = SecureBroker(authority)
    with ExitStack() as stack:
        try:
            stack.enter_context(broker)
        except OutsideFailure as failure:
            give_up(failure)
        yield SecureKafka(authority, broker.ports, token_file)


@pytest.fixture
async def bus(secure: SecureKafka) -> AsyncIterator[Bus]:
    """Give the broker by its open listener, where everybody may do everything."""
    async with Bus(secure.address("OPEN")) as bus:
        yield bus


def least(names: Callable[[str], str]) -> list[str]:
    """Return what a worker's principal has to be granted: the table of docs/security.md."""
    return [
        f"read topic {names('calls')}",
        f"read topic {names('transactions')}",
        f"read topic {names('facts')}*",
        f"write topic {names('facts')}*",
        f"write topic {names('alerts')}",
        f"write topic {names('dead-letters')}",
        f"read group {names('workers')}*",
        f"read topic {names('workers')}.epochs",
        f"write topic {names('workers')}.epochs",
    ]


async def ready(secure: SecureKafka, site: Site) -> None:
    """Make the topics, by a principal that may."""
    by_all = {"RINGFENCE_KAFKA_BOOTSTRAP_SERVERS": secure.address("OPEN")}
    ours = {k: v for k, v in site.environ.items() if k.startswith("RINGFENCE_")}
    rest = {k: v for k, v in ours.items() if not k.startswith("RINGFENCE_KAFKA_")}
    settings = load_settings({**rest, **by_all})
    made = await create_topics(
        settings, site.rule_set, partitions=2, replication=None, inputs=True
    )
    site.bus.topics += made.made


@pytest.mark.parametrize("way", WAYS)
async def test_a_worker_turns_records_into_alerts_over(
    way: str, secure: SecureKafka, bus: Bus, names: Callable[[str], str], tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    async with open_site(bus, names, tmp_path, **secure.way(way)) as site:
        await ready(secure, site)
        await secure.grant(*least(names))
        with worker(site.environ, journal, LOUD) as process:
            await _sent(site)
            await site.until_caught_up(quiet_s=1.5)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 30) == 0
        alerts = await site.alert_records()
        assert final_raised(alerts) == site.implied_by_records() != {}
    said = await asyncio.to_thread(journal.read_text)
    assert '"level": "debug"' in said
    secrets = (PASSWORD, KEY_PASSWORD, SECRET, secure.token_file.read_text())
    assert [secret for secret in secrets if secret in said] == []


async def _sent(site: Site) -> None:
    await site.send_calls(range(10))
    await site.send_transfers(range(10))
    await site.send_end()


async def test_topics_are_made_by_who_may_make_them_and_no_more(
    secure: SecureKafka, bus: Bus, names: Callable[[str], str], tmp_path: Path
) -> None:
    ours = {"RINGFENCE_ALERTS_TOPIC": names("facts-alerts"), **secure.way("PLAIN")}
    ours["RINGFENCE_DEAD_LETTERS_TOPIC"] = names("facts-dead-letters")
    ours["RINGFENCE_GROUP"] = names("facts-workers")
    async with open_site(bus, names, tmp_path, **ours) as site:
        for topic in site.settings.outside_topics:
            await bus.create(topic, 2)
        await secure.grant(*(f"describe topic {topic}" for topic in site.settings.outside_topics))
        create = ("topics", "create", "--partitions", "2")
        refused = await asyncio.to_thread(run_command, site.environ, *create)
        assert refused.returncode == 3
        assert "could not be made, TopicAuthorizationFailedError" in refused.stderr
        await secure.grant(f"create topic {names('facts')}*", f"read topic {names('facts')}*")
        made = await asyncio.to_thread(run_command, site.environ, *create)
        assert made.returncode == 0, made.stderr
        bus.topics += [line.split()[1].strip(",") for line in made.stderr.splitlines()]
        assert len(bus.topics) == 7


async def test_the_demo_runs_where_it_may_do_what_it_needs(secure: SecureKafka) -> None:
    own = "ringfence-demo-*"
    topics = [f"{what} topic {own}" for what in ("create", "read", "write", "delete")]
    await secure.grant(*topics, f"read group {own}", f"delete group {own}")
    way = secure.way("SCRAM-SHA-256")
    done = await asyncio.to_thread(
        run_command,
        {**os.environ, "PYTHONPATH": ".", **way},
        *("demo", "--broker", way["RINGFENCE_KAFKA_BOOTSTRAP_SERVERS"]),
    )
    assert done.returncode == 0, done.stderr
    assert "alerts as a replay of the log" in done.stderr


LACKING = {
    "read topic {calls}": "may not use topic {calls} so",
    "write topic {facts}*": "may not use topic {facts}",
    "write topic {alerts}": "may not use topic {alerts} so",
    "read group {workers}*": "may not use group {workers}",
}


@pytest.mark.parametrize("kept_back", LACKING)
async def test_a_grant_that_lacks_stops_the_worker_and_is_named(
    kept_back: str, secure: SecureKafka, bus: Bus, names: Callable[[str], str], tmp_path: Path
) -> None:
    named = {name: names(name) for name in ("calls", "facts", "alerts", "workers")}
    lacking = kept_back.format(**named)
    grants = [grant for grant in least(names) if grant != lacking]
    assert len(grants) == len(least(names)) - 1
    _, resource, name = lacking.split()
    journal = tmp_path / "journal"
    async with open_site(bus, names, tmp_path, **secure.way("SCRAM-SHA-512")) as site:
        await ready(secure, site)
        see = [f"describe topic {name}"] if resource == "topic" else []
        await secure.grant(*grants, *see)
        with worker(site.environ, journal) as process:
            await _sent(site)
            assert await asyncio.to_thread(process.wait, 60) == 3
    last = (await asyncio.to_thread(journal.read_text)).splitlines()[-1]
    assert last.startswith("ringfence: ")
    assert LACKING[kept_back].format(**named) in last
    assert "docs/security.md" in last


async def test_who_may_see_no_topic_is_told_that_this_may_be_why(
    secure: SecureKafka, bus: Bus, names: Callable[[str], str], tmp_path: Path
) -> None:
    async with open_site(bus, names, tmp_path, **secure.way("SCRAM-SHA-512")) as site:
        await ready(secure, site)
        done = await asyncio.to_thread(run_command, site.environ, "worker")
    assert done.returncode == 3
    assert "are not there, or not for us to see" in done.stderr


WRONG: dict[str, tuple[str, dict[str, str | None], str]] = {
    "a wrong password": (
        "SCRAM-SHA-512",
        {"SASL_PASSWORD": "canary-of-another-password"},
        "does not believe who we are (SCRAM-SHA-512), see RINGFENCE_KAFKA_SASL_USERNAME and ",
    ),
    "a wrong password in PLAIN": (
        "PLAIN",
        {"SASL_PASSWORD": "canary-of-another-password"},
        "does not believe who we are (PLAIN)",
    ),
    "a mechanism that is not offered": (
        "OAUTHBEARER",
        {"BOOTSTRAP_SERVERS": "{SECRETS}"},
        "does not know OAUTHBEARER, see RINGFENCE_KAFKA_SASL_MECHANISM",
    ),
    "a token that is none": (
        "OAUTHBEARER",
        {"SASL_TOKEN_FILE": "{ca}"},
        "RINGFENCE_KAFKA_SASL_TOKEN_FILE",
    ),
    "no certificate where one is wanted": (
        "MUTUAL",
        {"SSL_CERTIFICATE_FILE": None, "SSL_KEY_FILE": None, "SSL_KEY_PASSWORD": None},
        "see RINGFENCE_KAFKA_SSL_CERTIFICATE_FILE",
    ),
    "a certificate from somebody else": (
        "MUTUAL",
        {"SSL_CERTIFICATE_FILE": "{stranger}", "SSL_KEY_FILE": None, "SSL_KEY_PASSWORD": None},
        "does not take the certificate that we show",
    ),
    "a CA of somebody else": (
        "TLS",
        {"SSL_CA_FILE": "{stranger}"},
        "is from nobody that RINGFENCE_KAFKA_SSL_CA_FILE trusts",
    ),
    "plain text to TLS": (
        "TLS",
        {"SECURITY_PROTOCOL": "plaintext", "SSL_CA_FILE": None},
        "speaks TLS, and RINGFENCE_KAFKA_SECURITY_PROTOCOL is plaintext",
    ),
    "TLS to plain text": (
        "TLS",
        {"BOOTSTRAP_SERVERS": "{OPEN}"},
        "does not speak TLS, and RINGFENCE_KAFKA_SECURITY_PROTOCOL is ssl",
    ),
    "SASL to who asks for no name": (
        "PLAIN",
        {"BOOTSTRAP_SERVERS": "{TLS}"},
        "asks nobody for a name, and RINGFENCE_KAFKA_SECURITY_PROTOCOL is sasl_ssl",
    ),
    "no SASL to who asks for a name": (
        "TLS",
        {"BOOTSTRAP_SERVERS": "{SECRETS}"},
        "it may want SASL, and RINGFENCE_KAFKA_SECURITY_PROTOCOL is ssl",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_one_sentence_says_what_to_look_at_after(what: str, secure: SecureKafka) -> None:
    way, changes, said = WRONG[what]
    places = {name: secure.address(name) for name in secure.ports}
    places |= {name: str(path) for name, path in vars(secure.authority).items()}
    environ = {**os.environ, "PYTHONPATH": ".", "RINGFENCE_PSEUDONYM_KEY": SECRET}
    environ |= {"RINGFENCE_BROKER_WAIT": "2s", **secure.way(way)}
    for name, value in changes.items():
        if value is None:
            del environ[f"RINGFENCE_KAFKA_{name}"]
        else:
            environ[f"RINGFENCE_KAFKA_{name}"] = value.format(**places)
    done = run_command(environ, "worker")
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("ringfence: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert "canary" not in done.stdout + done.stderr
