"""What an operator can set: every setting, its default, and how its text is read."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from rules.events import EVENTS
from rules.moment import HOUR_US, MINUTE_US, parse_duration, parse_moment
from rules.timing import MAX_HISTORY, Timing
from streams.failures import SettingsError
from streams.security import PREFIX, KafkaSettings, comma_separated

_FILE: Final = "_FILE"
SECRET_LENGTH: Final = 16
_MICROSECOND: Final = timedelta(microseconds=1)
# They steer the tests of this project and are nothing that an operator sets.
_NO_SETTINGS: Final = ("RINGFENCE_TEST_", "RINGFENCE_REQUIRE_")
# Shorter than Kafka's 249: the epoch's digest is put behind some of them.
PLACE: Final = re.compile(r"([A-Za-z0-9._-]+):(\d{1,9}):(\d{1,18})", re.ASCII)
NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,200}", re.ASCII)


@dataclass(frozen=True)
class Durations:
    """One duration for all, and others by name; in microseconds."""

    default_us: int
    by_name_us: Mapping[str, int] = field(default_factory=dict)

    def of(self, name: str) -> int:
        """Return the duration of one name, in microseconds."""
        return self.by_name_us.get(name, self.default_us)


def _duration(value: object) -> object:
    return timedelta(microseconds=parse_duration(value)) if isinstance(value, str) else value


def _durations(default_us: int) -> Callable[[object], object]:
    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = [part.strip().rpartition("=") for part in value.split(",")]
        plain = [text for _, equals, text in parts if not equals]
        if len(plain) > 1:
            raise ValueError(f'"{value}" has {len(plain)} durations without a name, wanted one')
        named = {name.strip(): parse_duration(text) for name, equals, text in parts if equals}
        return Durations(parse_duration(plain[0]) if plain else default_us, named)

    return read


def _event_types(value: Durations) -> Durations:
    for name in value.by_name_us:
        if name not in EVENTS:
            raise ValueError(f'"{name}" is no event type{_meant(name, EVENTS)}')
    return value


def _start(value: object) -> object:
    if not isinstance(value, str) or value in {"earliest", "latest"}:
        return value
    try:
        return parse_moment(value)
    except ValueError as error:
        raise ValueError(f"{error}, nor earliest or latest") from error


def _places(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = []
    for text in filter(None, (part.strip() for part in value.split(","))):
        match = PLACE.fullmatch(text)
        if match is None:
            raise ValueError(f'"{text}" is no row, wanted topic:partition:offset')
        found.append((match[1], int(match[2]), int(match[3])))
    return tuple(found)


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError(f'"{value}" is not a name of 1 to 200 letters, digits and . _ -')
    return value


def _address(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError as error:
        raise ValueError(f'"{value}" is no address like 127.0.0.1, 0.0.0.0 or ::1') from error


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, LookupError, OSError) as error:
        raise ValueError(f'"{value}" is not a timezone like UTC or Asia/Shanghai') from error
    return value


def _lower(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({value.lower() for value in values}))


def _secret(value: SecretStr) -> SecretStr:
    length = len(value.get_secret_value())
    if length < SECRET_LENGTH:
        raise ValueError(f"it has {length} characters, wanted {SECRET_LENGTH} or more")
    return value


Place = tuple[str, int, int]
Name = Annotated[str, AfterValidator(_name)]
Names = Annotated[tuple[Name, ...], BeforeValidator(comma_separated), Field(min_length=1)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Count = Annotated[int, Field(ge=1, le=100_000)]

LATENESS: Final = Durations(15 * MINUTE_US)
SETTLE: Final = Durations(6 * HOUR_US)


class Settings(KafkaSettings):
    """The effective settings of one process; a variable's name is `RINGFENCE_` and the field's."""

    calls_topics: Names = Field(("calls",), description="topics with the records of the call side")
    transactions_topics: Names = Field(
        ("transactions",), description="topics with the records of the bank side"
    )
    facts_topic: Name = Field(
        "ringfence.facts", description="the facts log; the epoch's digest is put behind it"
    )
    alerts_topic: Name = Field("ringfence.alerts", description="topic that alerts are written to")
    dead_letters_topic: Name = Field(
        "ringfence.dead-letters", description="topic that says which records were refused, and why"
    )
    redrive_topic: Name | None = Field(
        None,
        description="topic of your own, among the calls or transactions topics too, that"
        " `dead-letters redrive` may send to; none if not set",
    )
    group: Name = Field(
        "ringfence", description="consumer group; the epoch's digest is put behind it"
    )
    rules: Path | None = Field(
        None, description="folder of rule files, or one file; the catalogue if not set"
    )
    params: Path | None = Field(
        None, description="YAML file with values for the parameters of rules, by rule and name"
    )
    pseudonym_key: Annotated[SecretStr, AfterValidator(_secret)] | None = Field(
        None, description="secret that pseudonyms are made with; the same for all workers"
    )
    lateness: Annotated[Durations, BeforeValidator(_durations(LATENESS.default_us))] = Field(
        LATENESS, description="how far a feed's watermark stays behind: `15m`, or `15m,calls=1h`"
    )
    settle: Annotated[
        Durations,
        BeforeValidator(_durations(SETTLE.default_us)),
        AfterValidator(_event_types),
    ] = Field(
        SETTLE,
        description="how long after an event's start its records count, and the longest that an"
        " interval counts as: `6h`, or `6h,transfer=3h`",
    )
    open_for: Duration = Field(
        timedelta(minutes=90), description="how long an interval without an end lasts"
    )
    max_history: int = Field(
        MAX_HISTORY,
        ge=1,
        le=1_000_000,
        description="most events of one type that are remembered under one key; of more, the"
        " earliest are dropped first",
    )
    start: Annotated[Literal["earliest", "latest"] | int, BeforeValidator(_start)] = Field(
        "earliest",
        description="where a group without commits begins: `earliest`, `latest`, or a moment"
        " (in microseconds once read)",
    )
    idle_after: Duration = Field(
        timedelta(minutes=30),
        description="how long a partition brings nothing before its watermark follows the clock"
        " at this distance; 0 for never",
        ge=timedelta(0),
    )
    skip: Annotated[tuple[Place, ...], BeforeValidator(_places), Field(max_length=16)] = Field(
        (),
        description="rows to step over, of whatever topic: `topic:partition:offset`,"
        " comma-separated",
    )
    timezone: Annotated[str, AfterValidator(_timezone)] = Field(
        "UTC", description="in which conditions read hours and weekdays"
    )
    withheld_values: Annotated[
        tuple[str, ...], BeforeValidator(comma_separated), AfterValidator(_lower)
    ] = Field(
        ("anonymous", "private", "restricted", "unavailable", "unknown", "withheld"),
        description="texts, in any case, that say a caller hides their number",
    )
    web_port: int = Field(
        0,
        ge=0,
        le=65_535,
        description="port of `/healthz`, `/readyz` and `/metrics`; 0 for none",
    )
    web_host: Annotated[str, AfterValidator(_address)] = Field(
        "127.0.0.1",
        description="address that the port is opened on; in a container `0.0.0.0`",
    )
    stalled_after: Duration = Field(
        timedelta(minutes=1),
        description="how long a partition with work in hand may stand still before `/healthz`"
        " says so",
        ge=timedelta(seconds=1),
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="`json`, `text`, or `auto`: text where stderr is a terminal"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the least that is logged"
    )
    group_instance_id: Name | None = Field(
        None,
        description="a name that is this worker's alone and stays: a restart within the session"
        " keeps its partitions",
    )
    session_timeout: Duration = Field(
        timedelta(seconds=15),
        description="how long the group waits for a worker that is silent",
        ge=timedelta(seconds=1),
        le=timedelta(minutes=5),
    )
    validates: Literal["kept", "all"] = Field(
        "kept",
        alias="validate",
        description="which records are checked whole: those that a rule could use, or all",
    )
    broker_wait: Duration = Field(
        timedelta(seconds=10), description="how long to look for the broker at the start"
    )
    batch_records: Count = Field(2_000, description="most records of one partition in one batch")
    held_records: Count = Field(
        2_000, description="records of one partition held before reading pauses"
    )

    @model_validator(mode="after")
    def _keep_topics_apart(self) -> Self:
        ours = (self.facts_topic, self.alerts_topic, self.dead_letters_topic)
        names = (*self.outside_topics, *ours)
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'topic "{name}" is named for two purposes, wanted one for each')
        if self.redrive_topic not in (None, *self.outside_topics):
            raise ValueError(
                f'RINGFENCE_REDRIVE_TOPIC: no worker reads topic "{self.redrive_topic}", name it'
                " in RINGFENCE_CALLS_TOPICS or RINGFENCE_TRANSACTIONS_TOPICS too"
            )
        return self

    @property
    def outside_topics(self) -> tuple[str, ...]:
        """The topics that others write to, each once."""
        return tuple(dict.fromkeys((*self.calls_topics, *self.transactions_topics)))

    @property
    def timing(self) -> Timing:
        """The durations that rules share."""
        return Timing(
            settle_us=self.settle.default_us,
            open_for_us=self.open_for // _MICROSECOND,
            timezone=self.timezone,
            settle_by_type_us=self.settle.by_name_us,
            max_history=self.max_history,
        )

    def lateness_us(self, feed: str) -> int:
        """Return how far the watermark of one feed stays behind its greatest time."""
        return self.lateness.of(feed)

    def skipped(self, partition: tuple[str, int]) -> frozenset[int]:
        """Return the offsets of one partition's rows that are to be stepped over."""
        return frozenset(offset for *place, offset in self.skip if tuple(place) == partition)

    def secret(self) -> bytes:
        """Return the secret that pseudonyms are made with, for whoever cannot do without.

        Raises:
            SettingsError: There is none.
        """
        if self.pseudonym_key is None:
            raise SettingsError(
                "RINGFENCE_PSEUDONYM_KEY: there is no secret, and records of people are never"
                " written without pseudonyms; set it, or RINGFENCE_PSEUDONYM_KEY_FILE"
            )
        return self.pseudonym_key.get_secret_value().encode()


SECRETS: Final = frozenset({"kafka_sasl_password", "kafka_ssl_key_password", "pseudonym_key"})


def load_settings(environ: Mapping[str, str], **flags: object) -> Settings:
    """Return the settings that flags, then variables, then defaults give; None is no flag.

    Raises:
        SettingsError: Something cannot be read; the text names the flag or variable.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    texts = {**_texts_of(environ), **_secrets_of(environ), **given}
    try:
        return Settings.model_validate(texts)
    except ValidationError as error:
        raise SettingsError(_sentence(error, texts, given)) from None


def _texts_of(environ: Mapping[str, str]) -> dict[str, str]:
    names = setting_names().values()
    return {name: environ[variable_of(name)] for name in names if variable_of(name) in environ}


def _secrets_of(environ: Mapping[str, str]) -> dict[str, str]:
    secrets = {}
    for name in SECRETS:
        variable = variable_of(name)
        path = environ.get(variable + _FILE)
        if path is None:
            continue
        if variable in environ:
            raise SettingsError(f"{variable} and {variable}{_FILE} are both set, wanted one")
        secrets[name] = _read_secret(variable + _FILE, Path(path))
    return secrets


def setting_names() -> dict[str, str]:
    """Return the name of each setting by its field's."""
    return {name: field.alias or name for name, field in Settings.model_fields.items()}


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def _read_secret(variable: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f'{variable}: "{path}" cannot be read') from error


def _sentence(
    error: ValidationError, texts: Mapping[str, object], flags: Mapping[str, object]
) -> str:
    """Return the first mistake in one sentence, without the text of a secret."""
    first = error.errors(include_url=False, include_input=False)[0]
    what = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return what
    name = str(first["loc"][0])
    flag = "--" + name.removeprefix("kafka_").replace("_", "-")
    if first["type"] == "too_short":
        what = "it names none, wanted one or more"
    elif name not in SECRETS:
        what = what.replace("Input should", f'"{texts.get(name)}" should')
    return f"{flag if name in flags else variable_of(name)}: {what}"


def unknown_settings(environ: Mapping[str, str]) -> list[str]:
    """Return one sentence for each variable that looks like a setting and is none."""
    known = {name.upper() for name in setting_names().values()}
    known |= {name.upper() + _FILE for name in SECRETS}
    strangers = sorted(
        name.removeprefix(PREFIX)
        for name in environ
        if name.startswith(PREFIX) and not name.startswith(_NO_SETTINGS)
    )
    return [
        f"{PREFIX}{name} is no setting{_meant(name, known, PREFIX)}"
        for name in strangers
        if name not in known
    ]


def _meant(name: str, known: Iterable[str], prefix: str = "") -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f', did you mean "{prefix}{close[0]}"' if close else ""
