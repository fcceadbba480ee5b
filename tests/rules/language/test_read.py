"""YAML is read strictly, and whatever a file holds is at worst a mistake in it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rules.language import load_rules
from tests.rules.language.texts import EVERYTHING, RULE, TIMING, load, mistakes

# Pieces that YAML, or the rule language, gives a meaning to.
_PIECES = st.sampled_from(
    [
        *"\t\n -?:,[]{}#&*!|>'\"%@`~<=.\\/0",
        *("\n  - ", "---", "...", "<<", "%YAML 1.1\n", "null", "&a ", "*a", "!!str ", "!!binary "),
        *("steps", "where", "stories", "events", "like", "as", "call", "true", "10:00"),
        *("each", "either", "having", "unless", "evidence", "alert", "moves", "count(", "within"),
        *("\u2028", "\x85", "\ufeff", "é", "\\ud800", '"\\x', '"\\U00110000"'),
    ]
)


def _cut_in(text: str, at: int, piece: str) -> str:
    at %= len(text)
    return text[:at] + piece + text[at:]


@given(st.lists(_PIECES, max_size=30).map("".join) | st.text(max_size=60))
@example('"\\U00110000"')
@example("\ud800")
@example("%YAML 1.1\n---\na: 1")
@example("? [a]\n: b")
def test_any_text_as_a_file_is_at_worst_mistaken(text: str) -> None:
    assert mistakes(text)


@given(st.integers(0, 10_000), st.lists(_PIECES, min_size=1, max_size=3).map("".join))
def test_a_rule_with_something_thrown_in_is_at_worst_mistaken(at: int, piece: str) -> None:
    mistakes(_cut_in(EVERYTHING, at, piece))


@given(st.integers(0, 10_000), st.integers(1, 40))
def test_a_rule_with_something_cut_out_is_at_worst_mistaken(at: int, length: int) -> None:
    at %= len(EVERYTHING)
    mistakes(EVERYTHING[:at] + EVERYTHING[at + length :])


def test_the_rule_that_these_tests_change_has_no_mistakes() -> None:
    assert mistakes(RULE) == []
    assert mistakes(EVERYTHING) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: the file is empty, wanted a mapping with the keys of a rule"),
        ("# nothing\n", "1:1: the file is empty, wanted a mapping with the keys of a rule"),
        ("- id\n", "1:1: found a list, wanted a mapping with the keys of a rule"),
        ("a rule", "1:1: found 'a rule', wanted a mapping with the keys of a rule"),
        ("~", "1:1: found nothing, wanted a mapping with the keys of a rule"),
        ("id: &here 1\n", "1:5: found a YAML anchor, wanted a plain value"),
        ("id: *here\n", "1:5: found a YAML alias, wanted the value itself"),
        ("id: !!str 1\n", "1:5: found a YAML tag, wanted a plain value"),
        ("id: !own [1]\n", "1:5: found a YAML tag, wanted a plain value"),
        ("id: 1\n---\nid: 2\n", "2:1: found a second document, wanted one plain document"),
        ("%YAML 1.1\n---\nid: 1\n", "1:1: found a directive, wanted one plain document"),
        ('id: "\\ud800"\n', "1:8: this is no YAML: found invalid Unicode character escape code"),
        ("id: [", "1:6: this is no YAML: did not find expected node content"),
        ("id: [\n", "2:1: this is no YAML: did not find expected node content"),
        ("\ud800", "1:1: the file is not valid UTF-8"),
        ("id: \x01", "1:1: this is no YAML: a character or escape that it does not allow"),
        ("id: '1", "1:7: this is no YAML: found unexpected end of stream"),
        ("#" * (256 * 1024) + "\n", "1:1: the file is longer than 256 KiB"),
        ("id: " + "[" * 19 + "]" * 19, ""),
        ("id: " + "[" * 20 + "]" * 20, "1:24: nested deeper than 20 levels"),
        ("id: " + "[" * 90_000, "1:24: nested deeper than 20 levels"),
    ],
)
def test_what_json_could_not_say_is_refused(text: str, message: str) -> None:
    first = mistakes(text)[0].removeprefix("tried.yaml:")

    assert first == message if message else "nested" not in first


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("version: 2.0.0", "key 'version' stands here twice, first on line 2"),
        ("<<: {a: 1}", "found a YAML merge, wanted the keys themselves"),
        ("? [a]\n: b", "found a list as a key, wanted a word"),
    ],
)
def test_keys_are_unique_words(line: str, message: str) -> None:
    assert any(message in mistake for mistake in mistakes(f"{RULE}{line}\n"))


def test_all_mistakes_of_all_files_come_at_once_in_order() -> None:
    texts = {"b/cried.yaml": RULE, "a/tried.yaml": RULE.replace("status: test", "status: tset")}

    with pytest.raises(ExceptionGroup, match="3 mistakes in rule files") as raised:
        load_rules({**texts, "a/also.yaml": "- nothing"}, TIMING)

    places = [str(error).split(": ")[0] for error in raised.value.exceptions]
    assert places == ["a/also.yaml:1:1", "a/tried.yaml:4:9", "b/cried.yaml:1:5"]


def test_two_files_cannot_have_one_rule() -> None:
    with pytest.raises(ExceptionGroup, match="1 mistake in rule files") as raised:
        load_rules({"a/tried.yaml": RULE, "b/tried.yaml": RULE}, TIMING)

    assert [str(error) for error in raised.value.exceptions] == [
        "b/tried.yaml:1:1: a second file has the rule 'tried'"
    ]


def test_rules_come_in_the_order_of_their_ids() -> None:
    files = {f"{name}.yaml": RULE.replace("tried", name, 1) for name in ("one", "two", "nil")}

    assert [rule.id for rule in load_rules(files, TIMING).rules] == ["nil", "one", "two"]


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert load("\ufeff" + RULE).id == "tried"
