"""Findings as others read them: JSON, GitHub's workflow commands, SARIF 2.1.0."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rules.authoring.lint import KINDS, Finding

_SARIF = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
# What ends a workflow command's text or one of its properties, and how it is written inside.
_ESCAPES = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY_ESCAPES = {**_ESCAPES, ":": "%3A", ",": "%2C"}


def as_json(findings: Sequence[Finding]) -> str:
    """Return the findings as one JSON array."""
    return json.dumps([_plain(finding) for finding in findings], indent=2, ensure_ascii=False)


def as_github(findings: Sequence[Finding]) -> str:
    """Return the findings as workflow commands, which GitHub shows beside the lines."""
    return "\n".join(_command(finding) for finding in findings)


def as_sarif(findings: Sequence[Finding]) -> str:
    """Return the findings as a SARIF log of one run."""
    rules = [{"id": kind, "shortDescription": {"text": text}} for kind, text in KINDS.items()]
    run = {
        "tool": {"driver": {"name": "ringfence check", "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding) for finding in findings],
    }
    log = {"$schema": _SARIF, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False)


FORMATS: Mapping[str, Callable[[Sequence[Finding]], str]] = {
    "json": as_json,
    "github": as_github,
    "sarif": as_sarif,
}


def _plain(finding: Finding) -> dict[str, Any]:
    error = finding.error
    return {
        "kind": finding.kind,
        "level": finding.level,
        "file": error.file,
        "line": error.line,
        "column": error.column,
        "message": error.message,
        "hint": error.hint,
    }


def _says(finding: Finding) -> str:
    error = finding.error
    return error.message if error.hint is None else f"{error.message}\n{error.hint}"


def _command(finding: Finding) -> str:
    error = finding.error
    where = f"file={_escaped(error.file, _PROPERTY_ESCAPES)},line={error.line},col={error.column}"
    title = f"title={_escaped(finding.kind, _PROPERTY_ESCAPES)}"
    return f"::{finding.level} {where},{title}::{_escaped(_says(finding), _ESCAPES)}"


def _escaped(text: str, escapes: Mapping[str, str]) -> str:
    return "".join(escapes.get(letter, letter) for letter in text)


def _result(finding: Finding) -> dict[str, Any]:
    error = finding.error
    region = {"startLine": error.line, "startColumn": error.column}
    place = {"artifactLocation": {"uri": error.file.replace("\\", "/")}, "region": region}
    return {
        "ruleId": finding.kind,
        "level": finding.level,
        "message": {"text": _says(finding)},
        "locations": [{"physicalLocation": place}],
    }
