"""The reference of the rule language names what there is."""

from rules.authoring.reference import FUNCTIONS, reference
from rules.authoring.tags import TAGS
from rules.language import keys
from rules.language.expressions import FUNCTION_NAMES
from rules.language.kinds_of_event import EVENT_TYPES


def test_every_function_has_its_line_and_no_other() -> None:
    assert set(FUNCTIONS) == set(FUNCTION_NAMES)


def test_every_key_event_function_and_tag_is_named() -> None:
    text = reference()
    sections = (keys.RULE, keys.EVIDENCE, keys.STORY, keys.RECORD, keys.CLAIM, keys.MISS)
    for name in {name for section in sections for name in section} | {*EVENT_TYPES, *TAGS}:
        assert f"`{name}`" in text


def test_what_must_be_there_is_in_bold_and_lists_of_values_are_told() -> None:
    text = reference()
    assert "| **`id`** |" in text
    assert "| `about` |" in text
    assert "One of `experimental` `test` `stable` `deprecated`." in text
