"""Tests of settings: what their texts mean, and what is said of a text that means nothing."""

from datetime import timedelta
from pathlib import Path

import pytest

from rules.moment import HOUR_US, MINUTE_US, parse_moment
from streams.failures import SettingsError
from streams.settings import Durations, Settings, load_settings, unknown_settings
from tests.streams.worker_parts import TEN_O_CLOCK

GOLDEN = Path(__file__).parent / "golden"


def refusal(**variables: str) -> str:
    """Return what is said of variables, given without their prefix."""
    with pytest.raises(SettingsError) as caught:
        load_settings({f"RINGFENCE_{name}": text for name, text in variables.items()})
    return str(caught.value)


def test_mistakes_in_settings_are_told_in_one_sentence_each() -> None:
    mistakes = [
        refusal(LATENESS="soon"),
        refusal(LATENESS="15m,1h"),
        refusal(SETTLE="transfer=soon"),
        refusal(SETTLE="trasnfer=3h"),
        refusal(OPEN_FOR="ninety minutes"),
        refusal(START="yesterday"),
        refusal(TIMEZONE="Mars/Olympus"),
        refusal(CALLS_TOPICS=" , "),
        refusal(FACTS_TOPIC="my facts"),
        refusal(ALERTS_TOPIC="calls"),
        refusal(REDRIVE_TOPIC="elsewhere"),
        refusal(PSEUDONYM_KEY="short"),
        refusal(WEB_PORT="http"),
        refusal(WEB_PORT="70000"),
        refusal(WEB_HOST="everywhere"),
        refusal(STALLED_AFTER="0s"),
        refusal(LOG_FORMAT="xml"),
        refusal(LOG_LEVEL="loud"),
        refusal(GROUP_INSTANCE_ID="worker one"),
        refusal(SESSION_TIMEOUT="1ms"),
        refusal(SESSION_TIMEOUT="10m"),
        refusal(BATCH_RECORDS="0"),
        refusal(PSEUDONYM_KEY_FILE="/nowhere/secret"),
        refusal(PSEUDONYM_KEY="a" * 16, PSEUDONYM_KEY_FILE="/nowhere/secret"),
    ]
    assert "\n".join(mistakes) + "\n" == (GOLDEN / "settings_mistakes.txt").read_text()


def test_every_setting_says_what_it_is() -> None:
    lines = [
        f"RINGFENCE_{(field.alias or name).upper()}: {field.description}"
        for name, field in Settings.model_fields.items()
    ]
    assert "\n".join(lines) + "\n" == (GOLDEN / "settings.txt").read_text()


def test_a_flag_wins_over_a_variable_and_a_missing_flag_does_not() -> None:
    environ = {"RINGFENCE_GROUP": "from-variable", "RINGFENCE_ALERTS_TOPIC": "held"}
    settings = load_settings(environ, group="from-flag", alerts_topic=None)
    assert (settings.group, settings.alerts_topic) == ("from-flag", "held")


def test_a_mistake_in_a_flag_names_the_flag() -> None:
    with pytest.raises(SettingsError, match=r'^--group: "x y" is not a name'):
        load_settings({"RINGFENCE_GROUP": "fine"}, group="x y")
    with pytest.raises(SettingsError, match=r"^--bootstrap-servers: "):
        load_settings({}, kafka_bootstrap_servers=",")


def test_lateness_and_settle_are_one_for_all_and_others_by_name() -> None:
    settings = load_settings(
        {"RINGFENCE_LATENESS": "10m, calls=1h", "RINGFENCE_SETTLE": "transfer=3h"}
    )
    assert settings.lateness_us("calls") == HOUR_US
    assert settings.lateness_us("transactions") == 10 * MINUTE_US
    assert settings.timing.settle("transfer") == 3 * HOUR_US
    assert settings.timing.settle("call_invitation") == 6 * HOUR_US
    assert settings.timing.open_for_us == 90 * MINUTE_US


def test_a_feed_may_have_an_equals_sign_in_its_name() -> None:
    settings = load_settings({"RINGFENCE_LATENESS": "a=b=1h"})
    assert settings.lateness_us("a=b") == HOUR_US


def test_topics_are_listed_with_commas_and_count_once() -> None:
    settings = load_settings(
        {"RINGFENCE_CALLS_TOPICS": "a, b,a", "RINGFENCE_TRANSACTIONS_TOPICS": "c,b"}
    )
    assert settings.calls_topics == ("a", "b")
    assert settings.outside_topics == ("a", "b", "c")


def test_a_start_is_a_word_or_a_moment() -> None:
    moment = "2023-07-08T10:42:00+08:00"
    assert load_settings({"RINGFENCE_START": "latest"}).start == "latest"
    assert load_settings({"RINGFENCE_START": moment}).start == parse_moment(moment)


def test_durations_are_read_as_people_write_them() -> None:
    settings = load_settings({"RINGFENCE_SESSION_TIMEOUT": "1m30s"})
    assert settings.session_timeout == timedelta(seconds=90)


def test_a_flag_may_be_a_value_that_has_been_read_already() -> None:
    settings = load_settings(
        {},
        calls_topics=("a", "b"),
        open_for=timedelta(minutes=5),
        lateness=Durations(7),
        start=TEN_O_CLOCK,
    )
    assert settings.calls_topics == ("a", "b")
    assert settings.timing.open_for_us == 5 * MINUTE_US
    assert settings.lateness_us("calls") == 7
    assert settings.start == TEN_O_CLOCK


def test_withheld_values_count_in_any_case() -> None:
    settings = load_settings({"RINGFENCE_WITHHELD_VALUES": "Anonymous,NONE,none"})
    assert settings.withheld_values == ("anonymous", "none")


def test_a_secret_is_read_from_its_file_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("a secret of a file\n")
    settings = load_settings({"RINGFENCE_PSEUDONYM_KEY_FILE": str(file)})
    assert settings.secret() == b"a secret of a file"
    assert "of a file" not in f"{settings!r} {settings}"


def test_whoever_needs_a_secret_is_told_that_there_is_none() -> None:
    with pytest.raises(SettingsError, match=r"^RINGFENCE_PSEUDONYM_KEY: there is no secret"):
        load_settings({}).secret()


def test_a_variable_that_is_no_setting_is_named_with_the_one_that_was_meant() -> None:
    environ = {
        "RINGFENCE_GRUOP": "",
        "RINGFENCE_ZZZ": "",
        "RINGFENCE_GROUP": "",
        "RINGFENCE_PSEUDONYM_KEY_FILE": "",
        "RINGFENCE_TEST_KAFKA": "",
        "PATH": "",
    }
    assert unknown_settings(environ) == [
        'RINGFENCE_GRUOP is no setting, did you mean "RINGFENCE_GROUP"',
        "RINGFENCE_ZZZ is no setting",
    ]
