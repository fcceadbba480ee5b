"""The command `ringfence switch`, from what was asked for to the lines that it prints."""

import json
from collections.abc import AsyncIterator
from typing import Literal

from rules.moment import parse_duration
from rules.rule import RuleSet
from streams.comparing import shown
from streams.epochs_topic import epochs_topic
from streams.failures import UsageFailure
from streams.following import Say
from streams.operating import operating
from streams.rule_files import read_rules
from streams.settings import Settings
from streams.switching import Switch, UnfinishedError
from streams.topics import demand

Wish = Literal["switch", "shadow", "compare", "promote", "drop", "status"]


def wish_of(**asked: bool) -> Wish:
    """Return which of the flags is set; without any, the plain switch.

    Raises:
        UsageFailure: There is more than one.
    """
    wishes: dict[str, Wish] = {
        "shadow": "shadow",
        "compare": "compare",
        "promote": "promote",
        "drop": "drop",
        "status": "status",
    }
    found = [wish for name, wish in wishes.items() if asked[name]]
    if len(found) > 1:
        raise UsageFailure(f"{' and '.join(f'--{w}' for w in found)} together, wanted one of them")
    return found[0] if found else "switch"


def seconds_of(wait: str) -> float:
    """Return how many seconds `--wait` asks for.

    Raises:
        UsageFailure: It is no duration.
    """
    try:
        return parse_duration(wait) / 1_000_000
    except ValueError as error:
        raise UsageFailure(f"--wait: {error}") from error


async def run_switch(
    settings: Settings, wish: Wish, *, as_json: bool, patience_s: float, say: Say
) -> list[str]:
    """Do what is wished for and return the lines to print.

    Raises:
        UsageFailure: It cannot be wished for as things are.
        OutsideFailure: The broker is not there, or workers are not as far yet.
    """
    if as_json and wish != "compare":
        raise UsageFailure("--json goes with --compare only")
    # Rules with mistakes are told of before anything is asked of a broker.
    rule_set = _rules(settings) if wish in ("switch", "shadow") else None
    async with operating(settings) as broker:
        topic = epochs_topic(settings)
        demand([topic], await broker.topic_sizes(), 'run "ringfence topics create"')
        succession = await broker.read_succession()
        command = Switch(settings, broker, succession, say, patience_s)
        return await carry_out(command, wish, rule_set, as_json=as_json)


async def carry_out(
    command: Switch, wish: Wish, rule_set: RuleSet | None, *, as_json: bool
) -> list[str]:
    """Do what is wished for; rules are there where an epoch is to be started."""
    if rule_set is not None:
        await command.start(rule_set, shadow=wish == "shadow")
    if wish == "promote":
        await command.promote()
    if wish == "drop":
        await command.drop()
    if wish in ("switch", "promote"):
        await _close(command)
    return [line async for line in _lines(command, wish, as_json=as_json)]


async def _close(command: Switch) -> None:
    try:
        await command.close()
    except UnfinishedError as error:
        # Whoever does not want to wait has what they asked for.
        if command.patience_s > 0:
            raise
        command.say(str(error))


async def _lines(command: Switch, wish: Wish, *, as_json: bool) -> AsyncIterator[str]:
    if wish == "status":
        for told in await command.told():
            yield json.dumps(told)
    if wish == "compare":
        found = await command.compare()
        for line in [json.dumps(found)] if as_json else shown(found):
            yield line


def _rules(settings: Settings) -> RuleSet:
    settings.secret()
    return read_rules(settings.rules, settings.timing, settings.params)
