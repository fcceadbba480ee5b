"""The rule files of a folder, or of one file, or of the catalogue, read as a rule set."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

from rules.language import RuleFileError, load_rules
from rules.rule import RuleSet
from rules.timing import Timing
from streams.failures import UsageFailure

_SUFFIX: Final = ".yaml"


def read_rules(path: Path | None, timing: Timing) -> RuleSet:
    """Return the rules of a folder (not its subfolders), a file, or the catalogue.

    Raises:
        UsageFailure: Nothing to read there, or mistakes in the files: all of them, a line each.
    """
    texts = _catalogue() if path is None else _read(path)
    try:
        return load_rules(texts, timing)
    except* RuleFileError as group:
        raise UsageFailure("\n".join(_sentences(group))) from None


def _catalogue() -> Mapping[str, str]:
    folder = files("rules") / "catalog"
    found = sorted((e for e in folder.iterdir() if e.name.endswith(_SUFFIX)), key=lambda e: e.name)
    return {f"rules/catalog/{entry.name}": entry.read_text(encoding="utf-8") for entry in found}


def _read(path: Path) -> Mapping[str, str]:
    try:
        found = sorted(path.glob("*" + _SUFFIX)) if path.is_dir() else [path]
        texts = {str(file): file.read_text(encoding="utf-8") for file in found}
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise UsageFailure(f'rules "{path}" cannot be read: {reason}') from error
    except UnicodeDecodeError as error:
        raise UsageFailure(f'rules "{path}" cannot be read: a file there is not UTF-8') from error
    if not texts:
        raise UsageFailure(f'rules "{path}" holds no *{_SUFFIX} file')
    return texts


def _sentences(group: BaseExceptionGroup[BaseException]) -> list[str]:
    found: list[str] = []
    for error in group.exceptions:
        found += _sentences(error) if isinstance(error, BaseExceptionGroup) else [str(error)]
    return found
