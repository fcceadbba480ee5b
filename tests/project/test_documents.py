"""The root documents: true of the tree as it stands."""

import re
from pathlib import Path

from streams.wire.pseudonyms import comparable

ROOT = Path(__file__).parents[2]


def test_the_architecture_names_every_module_in_its_folder() -> None:
    rows = re.findall(
        r"^\| (`.*?`) \| (.*) \|$", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE
    )
    named = {
        folder: set(re.findall(r"`([^`]+\.py)`", files))
        for folders, files in rows
        for folder in re.findall(r"`([^`]+)/`", folders)
    }
    for package in ("rules", "streams"):
        for folder in {path.parent for path in (ROOT / package).rglob("*.py")}:
            modules = {p.name for p in folder.glob("*.py") if p.name != "__init__.py"}
            assert named[folder.relative_to(ROOT).as_posix()] == modules


def test_every_link_of_the_documents_leads_somewhere() -> None:
    for document in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")):
        for target in re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_page_on_identity_says_what_becomes_of_texts() -> None:
    page = (ROOT / "docs" / "identity.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", page, re.MULTILINE)
    assert len(rows) == 5
    assert [(text, comparable("person", text)) for text, _ in rows] == rows
