"""What is mended in rule files: what has one right answer, and nothing that a rule means."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.authoring.fixes import mend
from rules.authoring.lint import lint
from rules.language import check_files
from rules.language.build import digest
from rules.language.mistakes import sole
from rules.timing import Timing

GOLDEN = Path(__file__).parent / "golden"
CATALOG = Path(__file__).parents[2] / "rules" / "catalog"
# Without stories and what is asked for them, which would only take time.
RULES = {
    path.name: path.read_text(encoding="utf-8")
    .partition("\nstories:\n")[0]
    .replace("status: stable", "status: test")
    + "\n"
    for path in sorted(CATALOG.glob("*.yaml"))
}
TIMING = Timing()
RULE = """\
id: tried
version: 1.0.0
title: A rule that tries things   # a comment
status: test
typology: trial
stage: control
tags: [f3.monetization, own.a]
severity: low
action: warn
params:
  floor: 3000 CNY   # the least
steps:
  - as: payment
    event: transfer
    where:
      - media is None or amount >= floor
"""
RULE = RULE.replace("media is None or ", "")


def mended(text: str, file: str = "tried.yaml") -> str:
    return mend(file, text, TIMING)[0]


def said(text: str) -> list[str]:
    return [str(fix) for fix in mend("tried.yaml", text, TIMING)[1]]


def digest_of(file: str, text: str) -> str:
    (rule,) = check_files({file: text}, TIMING)
    return digest(rule, TIMING)


def test_a_file_with_many_mistakes_is_mended_as_the_golden_file_says() -> None:
    text = (GOLDEN / "to_mend.yml").read_text(encoding="utf-8")
    now, fixes = mend("to_mend.yaml", text, TIMING)
    told = "".join(f"{fix}\n" for fix in fixes)
    left = "".join(f"{finding}\n" for finding in lint({"to_mend.yaml": now}, TIMING))
    found = f"{told}\n{now}\n{left}"
    assert found == (GOLDEN / "mended.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RULES)
def test_a_clean_file_is_left_as_it_is(name: str) -> None:
    assert mend(name, RULES[name], TIMING) == (RULES[name], [])


def test_what_is_mended_needs_no_more_mending() -> None:
    now = mended((GOLDEN / "to_mend.yml").read_text(encoding="utf-8"), "to_mend.yaml")
    assert mend("to_mend.yaml", now, TIMING) == (now, [])


@st.composite
def slips(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a rule file and what becomes of it when a finger slips in one of its words."""
    name = draw(st.sampled_from(sorted(RULES)))
    text = RULES[name]
    words = [m for m in re.finditer(r"[A-Za-z_.]{2,}", text) if m.start() > text.index("\n")]
    word = draw(st.sampled_from(words))
    at = draw(st.integers(word.start(), word.end() - 2))
    letter = draw(st.sampled_from("abegnstxz_"))
    wrong = draw(
        st.sampled_from(
            (
                text[:at] + text[at + 1 :],
                text[:at] + letter + text[at:],
                text[:at] + letter + text[at + 1 :],
                text[:at] + text[at + 1 : at + 2] + text[at] + text[at + 2 :],
                text[: word.start()] + word.group().upper() + text[word.end() :],
            )
        )
    )
    return name, wrong


@given(slips())
@settings(max_examples=150)
def test_whatever_loads_after_a_slip_was_mended_is_the_rule_that_was_meant(
    slip: tuple[str, str],
) -> None:
    name, wrong = slip
    now, fixes = mend(name, wrong, TIMING)
    assert bool(fixes) is (now != wrong)
    if fixes and all(finding.kind != "mistake" for finding in lint({name: now}, TIMING)):
        assert digest_of(name, now) == digest_of(name, RULES[name])


KEYS = st.sampled_from(("about", "blind_spots", "steps", "stage", "status", "severity", "tags"))


@given(st.sampled_from(sorted(RULES)), st.integers(1, 3), st.sampled_from(("\n", "\r\n")))
@settings(max_examples=15)
def test_parameters_and_tags_that_are_too_many_go_and_nothing_else(
    name: str, count: int, end: str
) -> None:
    text, meant = RULES[name], digest_of(name, RULES[name])
    more = "".join(f"  never_{n}: [{n} CNY, 4 EUR]   # of no use\n" for n in range(count))
    wrong = text.replace("params:\n", f"params:\n{more}", 1)
    if "params:" not in text:
        wrong = f"{text}params:\n{more}"
    first = re.search(r"tags: \[([\w.]+)", wrong)
    assert first is not None
    wrong = re.sub(r"(tags: \[[^]]*)\]", rf"\1, {first[1]}]", wrong, count=1)
    now = mended(wrong.replace("\n", end), name)
    assert now == text.replace("\n", end)
    assert digest_of(name, now) == meant


def test_only_parameters_of_no_use_go_with_their_heading() -> None:
    useless = "params:\n  one: 2h\n\n  two:\n    - 3 CNY\n    - 4 EUR\n"
    plain = RULE.replace("params:\n  floor: 3000 CNY   # the least\n", "").replace(
        "amount >= floor", "payee_is_new"
    )
    now = mended(plain.replace("steps:\n", f"{useless}steps:\n"))
    assert digest_of("tried.yaml", now) == digest_of("tried.yaml", plain)
    assert " one:" not in now
    assert " two:" not in now


def test_one_of_two_parameters_goes_without_the_heading() -> None:
    two = RULE.replace("params:\n", "params:\n  soon: 2h\n\n  # the least of all\n")
    assert mended(two) == two.replace("  soon: 2h\n", "")


def test_a_heading_with_a_comment_below_it_keeps_its_last_parameter() -> None:
    text = RULE.replace("amount >= floor", "payee_is_new").replace(
        "params:\n", "params:\n  # a comment\n"
    )
    assert mend("tried.yaml", text, TIMING) == (text, [])


def test_parameters_in_braces_are_left_to_their_author() -> None:
    text = RULE.replace("params:\n  floor: 3000 CNY   # the least\n", "params: {a: 2h, b: 3h}\n")
    text = text.replace("amount >= floor", "payee_is_new")
    assert mend("tried.yaml", text, TIMING) == (text, [])


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("tags: [f3.monetisation, own.a]", "tags: [f3.monetization, own.a]"),
        ("tags:\n  - own.a\n  - own.b\n  - own.a\n", "tags:\n  - own.a\n  - own.b\n"),
        ('tags: [own.a, "own.a"]   # ours', "tags: [own.a]   # ours"),
        ("version: v1.0", "version: 1.0.0"),
        ("version: 2", "version: 2.0.0"),
        ('version: "1.4"', 'version: "1.4.0"'),
        ("Status: Test", "status: test"),
    ],
)
def test_what_has_one_right_answer(wrong: str, right: str) -> None:
    key = right.partition(":")[0]
    text = re.sub(rf"(?m)^{key}:.*$", lambda _: wrong.rstrip("\n"), RULE)
    assert text != RULE
    wanted = re.sub(rf"(?m)^{key}:.*$", lambda _: right.rstrip("\n"), RULE)
    assert mended(text) == wanted


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # Either the definition or the use is wrong.
        ("as: payment", "as: paymnet\nanchor: payment"),
        ("amount >= floor", "amount >= flor"),
        ("amount >= floor", "amount >= floor\n      - paymnt.status is None"),
        # Two words lie near.
        ("steps:", "steps:\nunles: []\nunlesss: []\nstepz:"),
        ("tags: [f3.monetization, own.a]", "tags: [f3.monetization, f3.monetisation]"),
        ("tags: [f3.monetization, own.a]", "tags: [f3.monetzation, f3.monetisation]"),
        ("tags: [f3.monetization, own.a]", "tags:\n  - own.a\n  - own.a   # why not"),
        ("tags: [f3.monetization, own.a]", "tags: [own.a,\n  own.a]"),
        # A key that is there already.
        ("severity: low", "severity: low\nseverty: low"),
        # No slip.
        ("version: 1.0.0", "version: first"),
        ("status: test", "status: trial"),
        ("amount >= floor", "amount => floor"),
        ("amount >= floor", "amount >= floor & payee_is_new"),
        ("amount >= floor", "amount === floor"),
        ("amount >= floor", "!payee_is_new"),
        # Where it stands cannot be told for sure.
        ("amount >= floor", '"channel == \\"moblie\\" and amount >= floor"'),
    ],
)
def test_what_a_person_must_choose_is_left_alone(old: str, new: str) -> None:
    text = RULE.replace(old, new, 1)
    assert lint({"tried.yaml": text}, TIMING)
    assert mend("tried.yaml", text, TIMING) == (text, [])


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("amount = floor", "amount == floor"),
        ("amount >= floor&&payee_is_new", "amount >= floor and payee_is_new"),
        ("amount >= floor || payee_is_new", "amount >= floor or payee_is_new"),
        ("chanel == 'web' and amount >= floor", "channel == 'web' and amount >= floor"),
        ("number(amount) > 3 and nmber(amount) < 9", "number(amount) > 3 and number(amount) < 9"),
    ],
)
def test_slips_in_conditions(wrong: str, right: str) -> None:
    assert mended(RULE.replace("amount >= floor", wrong)).startswith(
        RULE.replace("amount >= floor", right).partition("params:")[0]
    )
    assert right in mended(RULE.replace("amount >= floor", wrong))


def test_places_are_those_of_the_file_as_it_was() -> None:
    text = RULE.replace("version: 1.0.0", "version: 1").replace(
        "amount >= floor", "amount >= floor&&chanel == 'moblie'&& payee_is_nwe"
    )
    assert said(text) == [
        "tried.yaml:2:10: '1' is now '1.0.0'",
        "tried.yaml:16:24: '&&' is now 'and'",
        "tried.yaml:16:26: 'chanel' is now 'channel'",
        "tried.yaml:16:36: 'moblie' is now 'mobile'",
        "tried.yaml:16:44: '&&' is now 'and'",
        "tried.yaml:16:47: 'payee_is_nwe' is now 'payee_is_new'",
    ]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("mdia", "media"),
        ("mediaa", "media"),
        ("meida", "media"),
        ("mefia", "media"),
        ("medi", "media"),
        ("Media", "media"),
        ("medai1", ""),
        ("mdeai", ""),
        ("area", ""),
        ("med", ""),
        ("own_sweep2", ""),
        ("by", ""),
    ],
)
def test_a_slip_is_one_letter(wrong: str, meant: str) -> None:
    assert sole(wrong, ("media", "own_sweep1", "at")) == meant


def test_two_words_that_near_are_one_too_many() -> None:
    assert sole("stept", ("steps", "stepy")) == ""
    assert sole("stept", ("steps",), ("stepy",)) == ""
    assert sole("steqy", ("other",), ("stepy",)) == ""
