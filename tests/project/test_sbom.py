"""What we are made of: every locked package is listed, under a licence that we may pass on."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from license_expression import get_spdx_licensing

from deploy.sbom import ROOT, RUNTIME, SPELLINGS, bill_of_materials, licence_of, locked

EVERYTHING = ROOT / "requirements.lock"
SPDX = get_spdx_licensing()
# Each lets us pass the package on, unchanged, with a work under another licence.
ALLOWED = {
    *("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0", "WTFPL"),
    # Copyleft for its own files only.
    "MPL-2.0",
    *("LicenseRef-Repoze", "LicenseRef-public-domain"),
}


@pytest.mark.parametrize("lock", [RUNTIME, EVERYTHING], ids=["image", "everything"])
def test_each_package_has_a_licence_that_is_allowed(lock: Path) -> None:
    found = {name: licence_of(name) for name in locked(lock)}
    assert [name for name, expression in found.items() if not may_be_used(expression)] == []


def may_be_used(expression: str) -> bool:
    """Tell whether one of the ways to read an expression is made of allowed licences only."""
    if not expression:
        return False
    parsed = SPDX.parse(expression)
    truth = parsed.subs({s: SPDX.TRUE if s.key in ALLOWED else SPDX.FALSE for s in parsed.symbols})
    return bool(truth.simplify() == SPDX.TRUE)


def test_a_choice_needs_one_licence_that_is_allowed_and_a_sum_needs_all() -> None:
    assert may_be_used("MIT OR GPL-3.0-only")
    assert not may_be_used("MIT AND GPL-3.0-only")
    assert not may_be_used("GPL-3.0-only")
    assert not may_be_used("")
    assert all(map(may_be_used, SPELLINGS.values()))


def document() -> dict[str, Any]:
    """Return what the command writes."""
    command = [sys.executable, str(ROOT / "deploy" / "sbom.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


def test_the_command_lists_what_the_image_locks_and_no_more() -> None:
    listed = {part["name"]: part["version"] for part in document()["components"]}
    assert listed == locked(RUNTIME)
    assert "pytest" not in listed


def test_it_is_cyclonedx_by_the_schema_of_its_makers() -> None:
    written = JsonV1Dot6(bill_of_materials(RUNTIME)).output_as_string()
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(written) is None
    assert validator.validate_str(written.replace('"bomFormat"', '"bomFormatt"')) is not None
