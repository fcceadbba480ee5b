"""The page on reliability: its parts are made one by one, and each is there."""

from pathlib import Path

from benchmarks import page
from benchmarks.reliability import HEAD, Part, unheard

_PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def test_every_part_is_on_the_page_if_only_to_say_that_it_did_not_run(tmp_path: Path) -> None:
    told = tmp_path / "page.md"
    for part in Part:
        page.put(told, part, unheard(part), HEAD)
    headings = [x for x in told.read_text().splitlines() if x.startswith("## ")]
    assert len(headings) == len(Part) == told.read_text().count("Did not run.")
    published = _PAGE.read_text(encoding="utf-8")
    assert published.startswith(HEAD)
    assert set(headings) <= set(published.splitlines())


def test_a_part_that_runs_replaces_what_the_page_had_of_it_alone(tmp_path: Path) -> None:
    told = tmp_path / "page.md"
    for part in Part:
        page.put(told, part, unheard(part), HEAD)
    page.put(told, Part.FEEDS, "## Feeds\n\nnothing lost\n")
    assert told.read_text().count("Did not run.") == len(Part) - 1
    assert "nothing lost" in told.read_text()
