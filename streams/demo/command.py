"""What `ringfence demo` and `ringfence produce-demo` do."""

import asyncio
import os
import sys
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack

from rules.rule import RuleSet
from streams.brokers import own_broker
from streams.demo.found import Found, differences, replayed
from streams.demo.recorded import demo_log
from streams.demo.shown import show_alerts
from streams.failures import Failure, OutsideFailure
from streams.rule_files import read_rules
from streams.security import PREFIX
from streams.settings import Settings, load_settings
from streams.wire.pseudonyms import PUBLISHED_KEY

_OF_THE_BROKER = f"{PREFIX}KAFKA_"


def run_demo(address: str | None, *, in_process: bool) -> None:
    """Take the packaged log through a worker on a broker, else through this process alone.

    Args:
        address: a broker to use; None for one of our own.
        in_process: do without a broker.

    Raises:
        OutsideFailure: The broker that was named cannot be used, or the worker fails.
        Failure: The worker and a replay do not find the same.
    """
    environment = _environment(address)
    settings = load_settings(environment)
    rule_set = read_rules(settings.rules, settings.timing, settings.params)
    begun_s = time.perf_counter()
    with demo_log() as log:
        expected, _ = replayed(log, settings, rule_set)
    replay_s = time.perf_counter() - begun_s
    found = None
    if not in_process:
        found = _on_some_bus(address, settings, rule_set, environment)
    show_alerts((found or expected).raised())
    if found is None:
        _say(f"replayed in this process in {replay_s:.1f} s, with no broker")
        return
    differing = differences(found, expected)
    if differing:
        raise Failure(
            f"the worker and a replay of the log differ in {len(differing)} alerts, of which"
            f" {differing[0]} is one; please report it"
        )
    _say(f"the same {len(found.raised())} alerts as a replay of the log ({replay_s:.1f} s)")


def produce_demo(address: str | None) -> None:
    """Send the packaged log to the outside topics that the settings name.

    Raises:
        OutsideFailure: A topic is missing or too small, or the broker does not take a record.
    """
    settings = load_settings(os.environ, kafka_bootstrap_servers=address)
    _demand_answer(settings)
    from streams.demo.sending import send_log  # noqa: PLC0415 - see `_on_bus`

    for topic, count in asyncio.run(send_log(settings)).items():
        _say(f"{count:,} records sent to {topic}")


def _on_some_bus(
    address: str | None, settings: Settings, rule_set: RuleSet, environment: Mapping[str, str]
) -> Found | None:
    """Return what a worker finds; None, and a sentence that says why, if no broker can be had.

    A worker that fails on a broker is a failure, and no reason to do without one.
    """
    if address is not None:
        _demand_answer(settings)
        return _on_bus(f"the one at {address}", settings, rule_set, environment)
    with ExitStack() as stack:
        try:
            own = stack.enter_context(own_broker())
        except OutsideFailure as failure:
            _say(f"{failure}; so it runs in this process")
            return None
        for reason in own.passed_over:
            _say(f"passed over: {reason}")
        served = {**environment, f"{_OF_THE_BROKER}BOOTSTRAP_SERVERS": own.address}
        return _on_bus(own.name, load_settings(served), rule_set, served)


def _demand_answer(settings: Settings) -> None:
    # Loaded only here: see `_on_bus`.
    from streams.refusals import find_refusal  # noqa: PLC0415 - see above

    refusal = asyncio.run(find_refusal(settings))
    if refusal is not None:
        raise OutsideFailure(refusal.sentence)


def _on_bus(
    name: str, settings: Settings, rule_set: RuleSet, environment: Mapping[str, str]
) -> Found:
    # Loaded only here: a replay needs none of what talks to a broker.
    from streams.demo.on_bus import found_on_bus  # noqa: PLC0415 - see above

    _say(f"broker: {name}; topics and group of the demo's own: {settings.group}")
    begun_s = time.perf_counter()
    found = asyncio.run(found_on_bus(settings, rule_set, environment))
    _say(f"sent, worked on and final in {time.perf_counter() - begun_s:.1f} s")
    return found


def _environment(address: str | None) -> dict[str, str]:
    """Return the variables of the demo's worker: what is set for another worker is not for it.

    Only how to talk to a broker that is named is taken over.
    """
    name = f"ringfence-demo-{uuid.uuid4().hex[:10]}"
    kept = {
        variable: value
        for variable, value in os.environ.items()
        if not variable.startswith(PREFIX)
        or (address is not None and variable.startswith(_OF_THE_BROKER))
    }
    own = {
        "GROUP": name,
        "CALLS_TOPICS": f"{name}.calls",
        "TRANSACTIONS_TOPICS": f"{name}.transactions",
        "FACTS_TOPIC": f"{name}.facts",
        "ALERTS_TOPIC": f"{name}.alerts",
        "DEAD_LETTERS_TOPIC": f"{name}.dead-letters",
        # The log is invented, so its people need no secret.
        "PSEUDONYM_KEY": PUBLISHED_KEY.decode(),
    }
    if address is not None:
        own["KAFKA_BOOTSTRAP_SERVERS"] = address
    return {**kept, **{f"{PREFIX}{variable}": value for variable, value in own.items()}}


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
