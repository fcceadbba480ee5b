"""Tests of epochs that follow each other, by the workers' real code over a broker in memory."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from rules.language import load_rules
from rules.moment import DAY_US, HOUR_US, MINUTE_US
from streams.epoch import first_revision
from streams.failures import UsageFailure
from streams.succession import Entry, Succession
from streams.switch_command import Wish, carry_out
from streams.switching import UnfinishedError
from streams.topics import make_entry
from tests.streams.epochs_desk import (
    CALLS,
    FACTS_SIZE,
    TRANSACTIONS,
    KilledError,
    MemoryBroker,
    Site,
)
from tests.streams.worker_parts import (
    CAMPAIGNS,
    RULE,
    TEN_O_CLOCK,
    call,
    heartbeat,
    settings_for_tests,
    transfer,
)

OLD = {"video_call_then_new_payee.yaml": RULE, **CAMPAIGNS}
# Raises less about strangers, more about contacts.
NEW = {
    "video_call_then_new_payee.yaml": RULE.replace('== "stranger"', '== "contact"'),
    "many_victims.yaml": CAMPAIGNS["many_victims.yaml"],
}
WIDER = {
    **NEW,
    "video_call_then_new_payee.yaml": RULE.replace('== "stranger"', 'in ("stranger", "contact")'),
}


@pytest.fixture(autouse=True)
def _nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.states.MARK_EVERY_S", 0.0)
    monkeypatch.setattr("streams.following._LOOK_EVERY_S", 0.0)
    monkeypatch.setattr("streams.joining._LOOK_EVERY_S", 0.0)


class Town:
    """One broker with some work done by the old rules, and a site for each set of rules."""

    def __init__(self, folder: Any) -> None:  # noqa: ANN401 - a path
        self.broker = MemoryBroker()
        self.folder = folder
        self.old = self.site("old", OLD)
        self.new = self.site("new", NEW)
        self.wider = self.site("wider", WIDER)

    def site(self, name: str, files: Mapping[str, str]) -> Site:
        """Return a site with rules of its own."""
        rules = self.folder / name
        rules.mkdir()
        for file, text in files.items():
            (rules / file).write_text(text)
        settings = settings_for_tests(RINGFENCE_RULES=str(rules), RINGFENCE_BROKER_WAIT="0s")
        rule_set = load_rules(files, settings.timing)
        return Site(self.broker, settings, rule_set)

    async def begin(self) -> None:
        """Let the old rules run on six people, two of whom know their callers."""
        await self.make_logs(self.old)
        self.live(range(6))
        await self.old.work()

    async def make_logs(self, site: Site) -> None:
        """Make the facts logs of a first epoch, as `topics create` does."""
        entry = make_entry(
            site.settings, site.rule_set, {"calls": 1, "transactions": 1}, Succession()
        )
        for log in entry.epoch({}).facts_logs:
            self.broker.made[log.name] = FACTS_SIZE

    def live(self, numbers: range, start_us: int = TEN_O_CLOCK) -> None:
        """Let people be called, and pay; every third of them knows the caller."""
        for n in numbers:
            at_us = start_us + n * MINUTE_US
            related = "contact" if n % 3 == 0 else "stranger"
            self.broker.append(CALLS, [call(n, at_us, related)], at_us)
            paid = transfer(n, at_us + MINUTE_US, payee=f"account-{n // 2}")
            self.broker.append(TRANSACTIONS, [paid], at_us + MINUTE_US)

    def pass_time(self, moment_us: int) -> None:
        """Raise every watermark."""
        for place in (CALLS, TRANSACTIONS):
            self.broker.append(place, [heartbeat(moment_us)], moment_us)

    def records(self) -> list[dict[str, Any]]:
        """Return what stands where it counts."""
        return [json.loads(raw)["data"] for raw in self.broker.alerts()]

    def last(self) -> dict[str, dict[str, Any]]:
        """Return the record of greatest revision of each alert where it counts."""
        found: dict[str, dict[str, Any]] = {}
        for data in self.records():
            if data["revision"] >= found.get(data["alert_id"], data)["revision"]:
                found[data["alert_id"]] = data
        return found

    def stands(self) -> dict[tuple[str, str], tuple[str, bool, int]]:
        """Return of each alert, by rule and transfer, how it stands and whose word that is."""
        return {
            (d["rule"]["id"], d["anchor"]["id"]): (d["state"], d["final"], d["revision"] >> 40)
            for d in self.last().values()
        }

    def states(self) -> list[str]:
        """Return what each epoch is."""
        return [entry.state for entry in self.broker.versions[-1].epochs]


@pytest.fixture
async def town(tmp_path: Any) -> Town:  # noqa: ANN401 - a path
    """Give a town in which the old rules have run."""
    town = Town(tmp_path)
    await town.begin()
    return town


CALLED = "video_call_then_new_payee"


def led(stands: dict[tuple[str, str], tuple[str, bool, int]]) -> dict[str, tuple[str, bool, int]]:
    """Return how alerts about calls stand, by transfer."""
    return {own_id: stood for (rule, own_id), stood in stands.items() if rule == CALLED}


async def test_the_first_worker_begins_the_first_epoch(town: Town) -> None:
    assert town.states() == ["current"]
    (entry,) = town.broker.versions[-1].epochs
    assert (entry.number, entry.since_us, entry.starts) == (1, None, [])
    assert led(town.stands()) == {f"p-{n}": ("raised", False, 1) for n in (1, 2, 4, 5)}


async def test_a_switch_withdraws_what_the_new_rules_do_not_raise_and_keeps_the_rest(
    town: Town,
) -> None:
    await (await town.new.switch()).start(town.new.rule_set, shadow=False)
    assert town.states() == ["leaving", "current"]
    command = await town.new.switch()
    with pytest.raises(UnfinishedError, match="epoch 2 is current and 12 records behind"):
        await command.close()
    # Where the old logs end is on record before anything is made of them.
    assert town.broker.versions[-1].epochs[0].ends is not None
    epoch = await town.new.work(correlates=False)
    assert epoch.number == 2
    with pytest.raises(UnfinishedError, match=r"epoch 2 is current and 1. records behind"):
        await (await town.new.switch()).close()
    await town.new.work()
    await (await town.new.switch()).close()
    assert len(set(town.broker.alerts())) == len(town.broker.alerts())
    assert town.states() == ["retired", "current"]
    assert led(town.stands()) == {
        **{f"p-{n}": ("raised", False, 2) for n in (0, 3)},
        **{f"p-{n}": ("withdrawn", True, 1) for n in (1, 2, 4, 5)},
    }
    ended = [d for d in town.last().values() if d["state"] == "withdrawn"]
    assert {d["revision"] for d in ended} == {first_revision(2) - 1}
    # Each account had two victims, of whom one is none any more.
    assert ("many_victims", "withdrawn") in {(d["rule"]["id"], d["state"]) for d in ended}


async def test_what_the_new_rules_raise_as_well_is_not_ended(town: Town) -> None:
    await (await town.wider.switch()).start(town.wider.rule_set, shadow=False)
    await town.wider.work()
    await (await town.wider.switch()).close()
    assert first_revision(2) - 1 not in {d["revision"] for d in town.records()}
    assert led(town.stands()) == {f"p-{n}": ("raised", False, 2) for n in range(6)}


async def test_all_alerts_that_an_epoch_has_ended_stay_as_they_were(town: Town) -> None:
    town.pass_time(TEN_O_CLOCK + 3 * DAY_US)
    await town.old.work()
    before = town.stands()
    assert all(final for _, final, _ in before.values())
    await (await town.new.switch()).start(town.new.rule_set, shadow=False)
    await town.new.work()
    await (await town.new.switch()).close()
    after = town.stands()
    assert {key: after[key] for key in before} == before


async def test_a_shadow_writes_beside_and_its_open_alerts_are_moved_unchanged(town: Town) -> None:
    await (await town.wider.switch()).start(town.wider.rule_set, shadow=True)
    assert town.states() == ["current", "shadow"]
    epoch = await town.wider.work()
    assert epoch.alerts_topic != "ringfence.alerts"
    before = town.stands()
    beside = town.broker.alerts(epoch.alerts_topic)
    assert beside
    assert {revision for _, _, revision in before.values()} == {1}
    await (await town.wider.switch()).promote()
    assert town.states() == ["leaving", "current"]
    await (await town.wider.switch()).close()
    assert town.states() == ["retired", "current"]
    assert led(town.stands()) == {f"p-{n}": ("raised", False, 2) for n in range(6)}
    # Of all that was open there is nothing that the new rules do not raise.
    assert first_revision(2) - 1 not in {d["revision"] for d in town.records()}
    moved = [raw for raw in town.broker.alerts() if json.loads(raw)["data"]["revision"] >> 40 == 2]
    assert set(moved) <= set(beside)
    # From now on it writes where it counts.
    town.pass_time(TEN_O_CLOCK + 3 * DAY_US)
    assert (await town.wider.work()).alerts_topic == "ringfence.alerts"
    assert led(town.stands()) == {f"p-{n}": ("raised", True, 2) for n in range(6)}


async def test_what_a_shadow_has_ended_ends_what_the_old_has_left_open(town: Town) -> None:
    await (await town.wider.switch()).start(town.wider.rule_set, shadow=True)
    # The current epoch's workers are behind the shadow's: all is over for those only.
    town.pass_time(TEN_O_CLOCK + 3 * DAY_US)
    await town.wider.work()
    await (await town.wider.switch()).promote()
    await (await town.wider.switch()).close()
    # Of the two that only the new rules raise the old epoch would never have said a word.
    assert led(town.stands()) == {f"p-{n}": ("raised", True, 2) for n in range(6)}
    assert {d["state"] for d in town.records()} == {"raised"}


async def test_what_a_shadow_ended_before_it_counted_is_not_told_where_the_old_had_come_so_far(
    town: Town,
) -> None:
    await (await town.wider.switch()).start(town.wider.rule_set, shadow=True)
    town.pass_time(TEN_O_CLOCK + 3 * DAY_US)
    await town.old.work()
    await town.wider.work()
    await (await town.wider.switch()).promote()
    await (await town.wider.switch()).close()
    assert led(town.stands()) == {f"p-{n}": ("raised", True, 1) for n in (1, 2, 4, 5)}


async def test_what_the_old_workers_had_not_come_to_is_written_when_it_is_ended(
    town: Town,
) -> None:
    town.live(range(6, 9))
    town.pass_time(TEN_O_CLOCK + 3 * DAY_US)
    # Its facts are there; then all workers were gone.
    await town.old.work(correlates=False)
    await (await town.new.switch()).start(town.new.rule_set, shadow=False)
    await town.new.work()
    before = len(town.broker.alerts())
    await (await town.new.switch()).close()
    assert len(town.broker.alerts()) > before
    assert led(town.stands()) == {
        **{f"p-{n}": ("raised", True, 2) for n in (0, 3, 6)},
        **{f"p-{n}": ("raised", True, 1) for n in (1, 2, 4, 5, 7, 8)},
    }


@pytest.mark.parametrize("shadow", [False, True])
async def test_a_command_that_is_killed_anywhere_ends_as_one_that_is_not(
    tmp_path: Any,  # noqa: ANN401 - a path
    *,
    shadow: bool,
) -> None:
    expected: tuple[object, object] | None = None
    for dies_after in (1_000, *range(40)):
        folder = tmp_path / str(dies_after)
        folder.mkdir()
        town = Town(folder)
        await town.begin()
        town.broker.dies_after = dies_after
        deaths = 0
        while True:
            try:
                await _change(town, shadow=shadow)
                break
            except KilledError:
                deaths += 1
                town.broker.dies_after = 1_000
        assert town.states() == ["retired", "current"]
        found = (town.stands(), set(town.broker.alerts()))
        expected = expected or found
        assert found == expected
        if not deaths and dies_after < 1_000:
            return
    pytest.fail("the command has more effects than were tried")


async def _change(town: Town, *, shadow: bool) -> None:
    """Do all that an operator does, from wherever it has come to."""
    state = town.states()
    if state == ["current"]:
        await (await town.new.switch()).start(town.new.rule_set, shadow=shadow)
        state = town.states()
    if "promoting" not in state:
        alive, town.broker.dies_after = town.broker.dies_after, 1_000_000
        await town.new.work()
        town.broker.dies_after = alive
    if shadow:
        await (await town.new.switch()).promote()
    await (await town.new.switch()).close()


async def test_rules_of_before_come_back_as_another_epoch(town: Town) -> None:
    await (await town.new.switch()).start(town.new.rule_set, shadow=False)
    # The new ones are bad, and their workers have hardly begun.
    await (await town.old.switch()).start(town.old.rule_set, shadow=False)
    assert town.states() == ["leaving", "leaving", "current"]
    first, _, third = town.broker.versions[-1].epochs
    assert first.digest == third.digest
    assert third.group == f"{first.group}.3"
    assert third.facts_topic == f"{first.facts_topic}.3"
    await town.old.work()
    await (await town.old.switch()).close()
    assert town.states() == ["retired", "retired", "current"]
    assert led(town.stands()) == {f"p-{n}": ("raised", False, 3) for n in (1, 2, 4, 5)}


async def test_the_new_epoch_begins_a_reach_and_a_settling_before_the_least_watermark(
    town: Town,
) -> None:
    town.live(range(6, 12), TEN_O_CLOCK + 40 * DAY_US)
    await town.old.work()
    await (await town.new.switch()).start(town.new.rule_set, shadow=False)
    old, new = town.broker.versions[-1].epochs
    # Calls are the slower feed, and its watermark stays a lateness behind.
    reached_us = TEN_O_CLOCK + 40 * DAY_US + 11 * MINUTE_US - 15 * MINUTE_US
    back_us = max(old.reach_us, new.reach_us) + max(old.settled_us, new.settled_us)
    assert new.since_us == reached_us - back_us
    # Nothing of before those forty days is read once more.
    assert new.starts == [("calls", 0, 6), ("transactions", 0, 6)]
    await town.new.work()
    await (await town.new.switch()).close()
    assert led(town.stands())["p-1"] == ("raised", True, 1)


async def test_alerts_too_old_for_what_retention_has_left_end_as_they_stand(town: Town) -> None:
    town.broker.begins = {CALLS: 4, TRANSACTIONS: 4}
    await (await town.wider.switch()).start(town.wider.rule_set, shadow=False)
    assert "retention has left no records of before 2023-07-08T10:26:00Z" in town.wider.said[0]
    await town.wider.work()
    await (await town.wider.switch()).close()
    assert led(town.stands()) == {f"p-{n}": ("raised", True, 1) for n in (1, 2, 4, 5)}


async def test_an_epoch_that_nobody_has_worked_for_is_followed_from_its_own_beginning(
    tmp_path: Any,  # noqa: ANN401 - a path
) -> None:
    town = Town(tmp_path)
    await town.make_logs(town.old)
    await town.old.work()
    town.broker.groups.clear()
    await (await town.new.switch()).start(town.new.rule_set, shadow=False)
    assert town.broker.versions[-1].epochs[1].since_us is None


async def refused(command: Any, *arguments: object, **more: object) -> str:  # noqa: ANN401 - bound
    """Return why something is refused."""
    with pytest.raises(UsageFailure) as caught:
        await command(*arguments, **more)
    return str(caught.value)


async def test_what_cannot_be_is_refused_in_a_sentence_that_says_what_can(town: Town) -> None:
    command = await town.old.switch()
    said = await refused(command.start, town.old.rule_set, shadow=True)
    assert "epoch 1 has these rules, topics and key already" in said
    assert "there is no shadow to drop" in await refused(command.drop)
    assert 'start one with "ringfence switch --shadow"' in await refused(command.promote)
    assert 'start one with "ringfence switch --shadow"' in await refused(command.compare)
    await command.start(town.old.rule_set, shadow=False)
    assert "nothing to switch" in town.old.said[-1]
    assert town.states() == ["current"]
    await (await town.new.switch()).start(town.new.rule_set, shadow=True)
    said = await refused((await town.new.switch()).start, town.new.rule_set, shadow=False)
    assert "with these rules runs as a shadow; promote it" in said
    said = await refused((await town.wider.switch()).start, town.wider.rule_set, shadow=True)
    assert 'runs as a shadow; promote it by "ringfence switch --promote" or let it go' in said
    await (await town.new.switch()).start(town.new.rule_set, shadow=True)
    assert "is the shadow already" in town.new.said[-1]


async def test_a_shadow_that_is_behind_is_not_promoted_and_says_how_far(town: Town) -> None:
    await (await town.new.switch()).start(town.new.rule_set, shadow=True)
    with pytest.raises(UnfinishedError, match="has not caught up: it is 12 records behind; let"):
        await (await town.new.switch()).promote()
    await town.new.work()
    town.live(range(6, 9))
    await town.old.work()
    times = "6 records behind, at 2023-07-08T09:50:00Z in event time where epoch 1 is at 2023-07-"
    with pytest.raises(UnfinishedError, match=times):
        await (await town.new.switch()).promote()
    assert town.states() == ["current", "shadow"]


async def test_workers_that_do_not_leave_are_waited_for_and_told_of(town: Town) -> None:
    await (await town.new.switch()).start(town.new.rule_set, shadow=True)
    epoch = await town.new.work()
    town.broker.workers[epoch.group] = 2
    command = await town.new.switch(0.05)
    with pytest.raises(UnfinishedError, match="epoch 2: 2 workers have not left yet; run the"):
        await command.promote()
    assert town.new.said[1:] == ["epoch 2: 2 workers have not left yet"]
    assert town.states() == ["current", "promoting"]
    said = await refused((await town.new.switch()).drop)
    assert 'is being promoted; run "ringfence switch --promote" to its end first' in said
    said = await refused(town.new.work)
    assert "is being promoted and epoch 1" in said
    town.broker.workers.clear()
    await (await town.new.switch()).promote()
    assert town.states() == ["leaving", "current"]


async def test_a_shadow_that_is_dropped_is_over(town: Town) -> None:
    await (await town.new.switch()).start(town.new.rule_set, shadow=True)
    await town.new.work()
    await (await town.new.switch()).drop()
    assert town.states() == ["current", "retired"]
    assert "its topics can be deleted: ringfence.facts." in town.new.said[-1]
    assert "is over and epoch 1" in await refused(town.new.work)
    # The same rules again are another epoch.
    await (await town.new.switch()).start(town.new.rule_set, shadow=False)
    assert town.states() == ["leaving", "retired", "current"]


async def test_a_worker_with_other_rules_is_refused(town: Town) -> None:
    said = await refused(town.new.work)
    assert 'start an epoch with these by "ringfence switch", or give the worker' in said


async def test_nothing_can_be_switched_before_a_worker_has_begun(tmp_path: Any) -> None:  # noqa: ANN401 - a path
    town = Town(tmp_path)
    command = await town.old.switch()
    assert "the first worker begins the first one" in await refused(
        command.start, town.old.rule_set, shadow=False
    )


async def test_a_comparison_tells_what_each_raises_alone(town: Town) -> None:
    await (await town.new.switch()).start(town.new.rule_set, shadow=True)
    with pytest.raises(UnfinishedError, match="there is nothing to compare yet"):
        await (await town.new.switch()).compare()
    town.pass_time(TEN_O_CLOCK + HOUR_US)
    await town.old.work()
    await town.new.work()
    found = await (await town.new.switch()).compare()
    assert (found["current"], found["shadow"]) == (1, 2)
    assert found["until"] == "2023-07-08T11:00:00Z"
    assert found["both"] == {"alerts": 0, "people": 0, "at_stake": {}}
    assert found["only_shadow"]["by_rule"] == {CALLED: 2}
    assert found["only_shadow"]["at_stake"] == {"CNY": "40000"}
    assert found["only_current"]["by_rule"] == {CALLED: 4, "many_victims": 1}
    assert (found["only_current"]["alerts"], found["only_current"]["people"]) == (5, 4)
    # The campaign's anchor is an alert, whose amount is at stake once.
    assert found["only_current"]["at_stake"] == {"CNY": "80000"}


async def test_the_status_tells_of_every_epoch(town: Town) -> None:
    await (await town.new.switch()).start(town.new.rule_set, shadow=False)
    await town.new.work()
    first, second = await (await town.new.switch()).told()
    assert (first["epoch"], first["state"], first["watermark"]) == (
        1,
        "leaving",
        "2023-07-08T09:50:00Z",
    )
    assert (second["state"], second["workers"]) == ("current", 0)
    await (await town.new.switch()).close()
    first, _ = await (await town.new.switch()).told()
    assert first["state"] == "retired"
    assert "workers" not in first


async def test_rules_are_kept_until_their_epoch_is_over(town: Town) -> None:
    await (await town.new.switch()).start(town.new.rule_set, shadow=False)
    old, new = town.broker.versions[-1].epochs
    assert _digests(old) == [rule.digest for rule in town.old.rule_set.rules]
    assert _digests(new) == [rule.digest for rule in town.new.rule_set.rules]
    await town.new.work()
    await (await town.new.switch()).close()
    assert town.broker.versions[-1].epochs[0].rules is None


def _digests(entry: Entry) -> list[str]:
    assert entry.rules is not None
    return [rule.digest for rule in entry.rules.load().rules]


async def test_the_command_does_one_thing_and_prints_what_was_asked_for(town: Town) -> None:
    async def wish(name: Wish, *, as_json: bool = False, patience_s: float = 0.0) -> list[str]:
        command = await town.new.switch(patience_s)
        rules = town.new.rule_set if name in ("switch", "shadow") else None
        return await carry_out(command, name, rules, as_json=as_json)

    assert await wish("shadow") == []
    town.pass_time(TEN_O_CLOCK + HOUR_US)
    await town.old.work()
    await town.new.work()
    window = "from 2023-07-07T21:50:00Z until 2023-07-08T11:00:00Z"
    assert await wish("compare") == [
        f"anchors {window}, which both epochs have judged",
        "raised by both: 0 alerts, 0 people, at stake nothing",
        "  of these with another score, severity or action: 0 alerts, 0 people, at stake nothing",
        "raised by the current epoch only: 5 alerts, 4 people, at stake 80000 CNY",
        "  many_victims: 1",
        "  video_call_then_new_payee: 4",
        "raised by the shadow only: 2 alerts, 2 people, at stake 40000 CNY",
        "  video_call_then_new_payee: 2",
    ]
    (line,) = await wish("compare", as_json=True)
    assert json.loads(line)["only_shadow"]["alerts"] == 2
    assert await wish("drop") == []
    assert town.states() == ["current", "retired"]
    # Without patience what was asked for is done, and the rest is told of.
    assert await wish("switch") == []
    assert "is current and 14 records behind" in town.new.said[-1]
    with pytest.raises(UnfinishedError):
        await wish("switch", patience_s=0.01)
    assert [json.loads(line)["state"] for line in await wish("status")] == [
        "leaving",
        "retired",
        "current",
    ]
    await town.new.work()
    assert await wish("switch") == []
    assert "epoch 1 is over: of the 5 alerts that it left open 5 were ended" in town.new.said[-1]
