"""Where rules come from."""

from rules.language import load_rules
from rules.timing import Timing
from streams.rule_files import read_rules, read_texts


def test_the_catalogue_without_its_stories_is_the_catalogue() -> None:
    assert read_rules(None, Timing()) == load_rules(read_texts(None), Timing())
