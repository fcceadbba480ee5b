"""Tests of an epoch's topics, and of the command that makes them, without a broker."""

from pathlib import Path

import pytest

from rules.moment import DAY_US
from rules.rule import RuleSet
from rules.timing import Timing
from streams.cli.switch import switch
from streams.cli.topics import create
from streams.failures import OutsideFailure, SettingsError, UsageFailure
from streams.rule_files import read_rules
from streams.succession import Succession
from streams.topics import check_metadata_fits, facts_retention_us, make_entry
from tests.streams.worker_parts import RULE, SECRET, rules_for_tests, settings_for_tests


def test_an_epoch_s_names_carry_its_digest() -> None:
    settings = settings_for_tests(RINGFENCE_FACTS_TOPIC="facts", RINGFENCE_GROUP="workers")
    entry = make_entry(settings, rules_for_tests(), {"calls": 2}, Succession())
    epoch = entry.epoch({f"facts.{entry.digest}": 3})
    assert (epoch.facts_topic, epoch.facts_partitions) == (f"facts.{epoch.digest}", 3)
    assert epoch.group == f"workers.{epoch.digest}"
    assert epoch.first.feed_partitions == (("calls", 0), ("calls", 1))


def test_facts_stay_twice_as_long_as_they_are_needed_and_a_week_at_least() -> None:
    rule_set = rules_for_tests()
    assert facts_retention_us(RuleSet(())) == 7 * DAY_US
    assert facts_retention_us(rule_set) == max(2 * rule_set.rules[0].keep_us, 7 * DAY_US)


def test_a_roster_whose_watermarks_do_not_fit_into_a_commit_is_refused() -> None:
    check_metadata_fits({"calls": 100, "transactions": 100})
    with pytest.raises(OutsideFailure, match=r"have 500 partitions together, .* of the 4096"):
        check_metadata_fits({"calls": 400, "transactions": 100})


def test_topics_are_not_made_without_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RINGFENCE_PSEUDONYM_KEY", raising=False)
    with pytest.raises(SettingsError, match="RINGFENCE_PSEUDONYM_KEY"):
        create()


def test_topics_are_not_made_where_no_broker_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGFENCE_PSEUDONYM_KEY", SECRET)
    monkeypatch.setenv("RINGFENCE_BROKER_WAIT", "0.2s")
    with pytest.raises(OutsideFailure, match="no Kafka broker answers"):
        create(bootstrap_servers="127.0.0.1:1", inputs=True)


def test_no_epoch_is_switched_where_no_broker_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGFENCE_PSEUDONYM_KEY", SECRET)
    monkeypatch.setenv("RINGFENCE_BROKER_WAIT", "0.2s")
    with pytest.raises(OutsideFailure, match="no Kafka broker answers"):
        switch(bootstrap_servers="127.0.0.1:1", wait="1m", promote=True)
    with pytest.raises(UsageFailure, match="--json goes with --compare only"):
        switch(bootstrap_servers="127.0.0.1:1", wait="1m", as_json=True)
    # Rules with mistakes are told of before a broker is asked.
    with pytest.raises(UsageFailure, match="cannot be read"):
        switch(bootstrap_servers="127.0.0.1:1", wait="1m", rules=Path("nowhere"))


def test_rules_are_read_from_the_catalogue_a_folder_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "video_call_then_new_payee.yaml"
    file.write_text(RULE)
    (tmp_path / "notes.txt").write_text("no rule")
    below = tmp_path / "below"
    below.mkdir()
    (below / "another.yaml").write_text("no rule either")
    assert read_rules(None, Timing()).rules
    for path in (tmp_path, file):
        assert [rule.id for rule in read_rules(path, Timing()).rules] == [file.stem]


def test_rules_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageFailure, match='nowhere" cannot be read: no such file'):
        read_rules(tmp_path / "nowhere", Timing())
    with pytest.raises(UsageFailure, match=r"holds no \*\.yaml file"):
        read_rules(tmp_path, Timing())
    (tmp_path / "latin.yaml").write_bytes(b"\xff")
    with pytest.raises(UsageFailure, match="not UTF-8"):
        read_rules(tmp_path, Timing())


def test_all_mistakes_of_a_folder_are_told_at_once(tmp_path: Path) -> None:
    for name in ("first_rule", "second_rule"):
        (tmp_path / f"{name}.yaml").write_text(RULE.replace("video_call_then_new_payee", name, 1))
        broken = RULE.replace("video_call_then_new_payee", name, 1).replace("media ==", "medai ==")
        (tmp_path / f"{name}.yaml").write_text(broken)
    with pytest.raises(UsageFailure) as caught:
        read_rules(tmp_path, Timing())
    said = str(caught.value)
    assert "first_rule.yaml:" in said
    assert "second_rule.yaml:" in said
