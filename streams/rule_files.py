"""The rule files of a folder, or of one file, or of the catalogue, read as a rule set."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

from rules.language import RuleFileError, load_rules, read_overrides
from rules.rule import RuleSet
from rules.timing import Timing
from streams.failures import UsageFailure

_SUFFIX: Final = ".yaml"
_STORIES: Final = "\nstories:\n"


def read_rules(path: Path | None, timing: Timing, params: Path | None = None) -> RuleSet:
    """Return the rules of a folder (not its subfolders), a file, or the catalogue.

    `params` is a file with values that take the place of the rules' own parameters.

    Raises:
        UsageFailure: Nothing to read there, or mistakes in the files: all of them, a line each.
    """
    texts, given = read_texts(path), read_params(params)
    if path is None:
        # What the catalogue's stories say has been tried; reading them takes most of a start.
        texts = {name: text.partition(_STORIES)[0] for name, text in texts.items()}
    try:
        return load_rules(texts, timing, None if given is None else read_overrides(*given))
    except* RuleFileError as group:
        raise UsageFailure("\n".join(sentences_of(group))) from None


def read_texts(path: Path | None) -> Mapping[str, str]:
    """Return the rule files of a folder, a file, or the catalogue, by name.

    Raises:
        UsageFailure: Nothing to read there.
    """
    return _catalogue() if path is None else _read(path)


def read_params(params: Path | None) -> tuple[str, str] | None:
    """Return the name and the text of a file with values for parameters.

    Raises:
        UsageFailure: It cannot be read.
    """
    return None if params is None else (str(params), _text(params, "parameters"))


def _catalogue() -> Mapping[str, str]:
    folder = files("rules") / "catalog"
    found = sorted((e for e in folder.iterdir() if e.name.endswith(_SUFFIX)), key=lambda e: e.name)
    return {f"rules/catalog/{entry.name}": entry.read_text(encoding="utf-8") for entry in found}


def _read(path: Path) -> Mapping[str, str]:
    found = sorted(path.glob("*" + _SUFFIX)) if path.is_dir() else [path]
    if not found:
        raise UsageFailure(f'rules "{path}" holds no *{_SUFFIX} file')
    return {str(file): _text(file) for file in found}


def _text(file: Path, what: str = "rules") -> str:
    try:
        # Line ends as they are: whoever mends a file leaves them alone.
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise UsageFailure(f'{what} "{file}" cannot be read: {reason}') from error
    except UnicodeDecodeError as error:
        raise UsageFailure(f'{what} "{file}" cannot be read: it is not UTF-8') from error


def sentences_of(group: BaseExceptionGroup[BaseException]) -> list[str]:
    """Return every mistake of a group, in order, each in its own words."""
    found: list[str] = []
    for error in group.exceptions:
        found += sentences_of(error) if isinstance(error, BaseExceptionGroup) else [str(error)]
    return found
