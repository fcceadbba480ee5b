"""The settings of a process as an operator reads them: each, its value, and where it is from."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from pydantic import SecretStr

from rules.moment import format_duration, format_moment
from streams.settings import SECRETS, Durations, Settings, setting_names, variable_of

MASK: Final = "********"
_MICROSECOND: Final = timedelta(microseconds=1)


class Shown(NamedTuple):
    """One setting: its variable, its value as the variable would be written, and its origin."""

    setting: str
    value: str | None
    origin: str


def shown_settings(settings: Settings, environ: Mapping[str, str]) -> Iterator[Shown]:
    """Yield every setting in force, secrets masked; `environ` is what they were read from."""
    for field, name in setting_names().items():
        variable = variable_of(name)
        value = getattr(settings, field)
        # A moment is the one number that is not written as one.
        is_moment = name == "start" and isinstance(value, int)
        value = format_moment(value) if is_moment else _text(value)
        if variable in environ:
            yield Shown(variable, value, "variable")
        elif name in SECRETS and f"{variable}_FILE" in environ:
            yield Shown(variable, value, f"{variable}_FILE")
        else:
            yield Shown(variable, value, "default")


def _text(value: object) -> str | None:
    match value:
        case None:
            return None
        case SecretStr():
            return MASK
        case timedelta():
            return format_duration(value // _MICROSECOND)
        case Durations():
            named = (f"{name}={format_duration(us)}" for name, us in value.by_name_us.items())
            return ",".join([format_duration(value.default_us), *named])
        case tuple():
            return ",".join(
                part if isinstance(part, str) else ":".join(map(str, part)) for part in value
            )
        case _:
            return str(value)
