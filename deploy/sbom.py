"""What we are made of, as a CycloneDX document on stdout: `python3 dev.py sbom`.

Versions are those of the lock file; licences are what each installed package says of itself, put
into SPDX's words, and stand in a list below where it says nothing that can be read.
"""

import re
import sys
import uuid
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from license_expression import ExpressionError, get_spdx_licensing
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[1]
RUNTIME: Final = ROOT / "deploy" / "requirements.lock"

# Packages whose own words name no licence, read by hand in their files.
READ_BY_HAND: Final[Mapping[str, str]] = {
    "bytewax": "Apache-2.0",
    "kubernetes-validate": "Apache-2.0",
    # Of Windows only, where nobody has installed them to be asked.
    "colorama": "BSD-3-Clause",
    "pywin32": "PSF-2.0",
}
# What packages write, and which licence of SPDX's list that is.
SPELLINGS: Final = {
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd 2-clause license": "BSD-2-Clause",
    "bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "psfl": "PSF-2.0",
    "public domain": "LicenseRef-public-domain",
    "python software foundation license": "PSF-2.0",
    "repoze public license": "LicenseRef-Repoze",
}
_SPDX: Final = get_spdx_licensing()


def locked(lock: Path) -> dict[str, str]:
    """Return the version of each package of a lock file, by its canonical name."""
    joined = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    found: dict[str, str] = {}
    for line in joined.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            pin = Requirement(re.split(r"\s+--hash=", line.strip())[0])
            found[canonicalize_name(pin.name)] = str(pin.specifier).removeprefix("==")
    return found


def licence_of(name: str) -> str:
    """Return a package's licence as an expression of SPDX; empty if there is none to be found."""
    if name in READ_BY_HAND:
        return READ_BY_HAND[name]
    try:
        return next(_expressions(distribution(name)), "")
    except PackageNotFoundError:
        return ""


def _expressions(package: Distribution) -> Iterator[str]:
    told = package.metadata
    classifiers = told.get_all("Classifier") or []
    ends = [c.rpartition(" :: ")[2] for c in classifiers if c.startswith("License")]
    for text in (told["License-Expression"], told["License"], " OR ".join(ends)):
        expression = SPELLINGS.get((text or "").strip().lower(), (text or "").strip())
        if expression and _is_spdx(expression):
            yield expression


def _is_spdx(expression: str) -> bool:
    try:
        parsed = _SPDX.parse(expression, validate=False, simple=False)
    except ExpressionError:
        return False
    keys = [symbol.key for symbol in parsed.symbols]
    return all(key in _SPDX.known_symbols or key.startswith("LicenseRef-") for key in keys)


def bill_of_materials(lock: Path) -> Bom:
    """Return the document of everything that a lock file names."""
    pins = locked(lock)
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, repr(sorted(pins.items()))))
    bom.metadata.component = root = Component(
        type=ComponentType.APPLICATION, name="ringfence", licenses=[_licence("Apache-2.0")]
    )
    parts = {name: _component(name, version) for name, version in pins.items()}
    bom.components = list(parts.values())
    for name, part in parts.items():
        bom.register_dependency(part, [parts[n] for n in _needs(name) if n in parts])
    bom.register_dependency(root, [parts[n] for n in _needs("ringfence") if n in parts])
    return bom


def _component(name: str, version: str) -> Component:
    expression = licence_of(name)
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        bom_ref=f"{name}=={version}",
        purl=PackageURL("pypi", name=name, version=version),
        licenses=[_licence(expression)] if expression else [],
    )


def _licence(expression: str) -> License:
    return LicenseFactory().make_from_string(expression)


def _needs(name: str) -> set[str]:
    try:
        lines = distribution(name).requires or []
    except PackageNotFoundError:
        return set()
    asked = map(Requirement, lines)
    wanted = (r for r in asked if r.marker is None or r.marker.evaluate({"extra": ""}))
    return {str(canonicalize_name(r.name)) for r in wanted} - {name}


if __name__ == "__main__":
    sys.stdout.write(JsonV1Dot6(bill_of_materials(RUNTIME)).output_as_string(indent=2) + "\n")
