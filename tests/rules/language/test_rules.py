"""A whole rule: what a file says, what the engine gets, and what its digest rests on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.condition import Aggregate, Field, Gap, Parameter
from rules.events import Kind
from rules.moment import HOUR_US, MINUTE_US
from rules.rule import Band, Message
from rules.timing import Timing
from tests.rules.language.texts import RULE, load, mistakes

HEAD, STEPS = RULE.split("steps:\n")
SCORE = "score: {base: 40, bands: [{from: 40, severity: medium, action: warn}]}\n"


def test_a_rule_with_one_outcome_has_a_single_band() -> None:
    rule = load(RULE)

    assert (rule.base, rule.bands) == (0, (Band(0, "low", "warn"),))
    assert rule.band(0).action == "warn"


def test_a_rule_with_a_score_has_its_bands() -> None:
    rule = load(RULE.replace("severity: low\naction: warn\n", SCORE))

    assert (rule.base, rule.bands) == (40, (Band(40, "medium", "warn"),))


def test_a_rule_with_several_bands_goes_by_the_highest_it_reaches() -> None:
    bands = """\
    - {from: 30, severity: low, action: warn}
    - {from: 41, severity: medium, action: hold}
    - {from: 65, severity: high, action: block}
"""
    evidence = """\
evidence:
  - {event: screen_share, during: call, weight: 25}
  - {event: loan_drawdown, before: pay, within: 6h, weight: 1}
"""
    score = f"score:\n  base: 40\n  bands:\n{bands}{evidence}"
    rule = load(RULE.replace("severity: low\naction: warn\n", score))

    assert (rule.base, [part.weight for part in rule.evidence]) == (40, [25, 1])
    assert [rule.band(score).action for score in (40, 41, 64, 65, 66)] == [
        *("warn", "hold", "hold"),
        *("block", "block"),
    ]


def test_of_more_scores_than_can_be_tried_nothing_is_said() -> None:
    entries = "".join(
        f"  - {{event: screen_share, during: call, weight: {2**n}}}\n" for n in range(14)
    )
    score = "score: {base: 4, bands: [{from: 4, severity: low, action: warn}, BAND]}\n"
    far = score.replace("BAND", "{from: 99999, severity: high, action: hold}")
    text = RULE.replace("severity: low\naction: warn\n", far) + "evidence:\n"

    assert mistakes(text + entries) == []
    assert "the greatest score is 5" in mistakes(text + entries.split("\n")[0] + "\n")[0]


def test_what_is_left_out_has_its_default() -> None:
    rule = load(RULE)

    assert (rule.by, rule.anchor, rule.advice, rule.tags, rule.message) == (
        *("person", "pay", "", ()),
        None,
    )


def test_a_rule_is_correlated_by_the_key_it_names() -> None:
    text = RULE.replace("event: call_invitation", "event: payee_added")

    assert load(f"{text}by: payee\n").by == "payee"


def test_the_anchor_is_the_step_that_the_rule_names() -> None:
    assert load(f"{RULE}anchor: call\n").anchor == "call"


def test_a_message_is_text_and_values() -> None:
    rule = load(f'{RULE}message: "{{ pay.amount }} {{gap(call, pay)}} after, {{few}}!"\n')

    assert rule.message == Message(
        (
            Field("pay", "amount", Kind.MONEY, open=False),
            " ",
            Gap("call", "pay"),
            " after, ",
            Parameter("few", 3, Kind.INTEGER),
            "!",
        )
    )


def test_a_message_may_count_a_set() -> None:
    moves = "  - {as: moves, each: funds_moved, before: pay, within: 1h}\n"
    rule = load(f"{RULE}{moves}message: '{{count(moves)}} moves'\n")

    assert rule.message == Message((Aggregate("count", "moves", None, Kind.INTEGER), " moves"))


def test_a_message_may_be_text_alone() -> None:
    rule = load(f"{RULE}message: look at it\n")

    assert rule.message == Message(("look at it",))


@pytest.mark.parametrize(
    ("relation", "texts"),
    [
        ("after: call\n    within: 2h", ["within 2h after call"]),
        ("around: call\n    within: PT120M", ["within PT120M around call"]),
        ("before: call\n    within: while_on", ["within 2h before call"]),
        ("during: call", ["during call"]),
        ("after: [call]\n    within: 1d", ["within 1d after call"]),
        (
            "relations: [{after: call, within: 2h}, {during: [call]}]",
            ["within 2h after call", "during call"],
        ),
    ],
)
def test_a_relation_reads_as_the_rule_says_it(relation: str, texts: list[str]) -> None:
    rule = load(RULE.replace("after: call\n    within: 2h", relation))

    assert [relation.text for relation in rule.steps[1].relations] == texts


def test_a_list_of_steps_gives_each_the_same_relation() -> None:
    rule = load(
        f"{RULE}  - {{as: share, event: screen_share, around: [call, pay], within: 10m}}\n"
    )

    relations = rule.steps[2].relations
    assert [(r.kind, r.other, r.within_us) for r in relations] == [
        ("around", "call", 10 * MINUTE_US),
        ("around", "pay", 10 * MINUTE_US),
    ]
    assert rule.anchor == "share"


def test_the_span_of_a_rule_rests_on_the_settings() -> None:
    assert load(RULE).span.reach_us == 8 * HOUR_US
    assert load(RULE, Timing(settle_us=HOUR_US)).span.reach_us == 3 * HOUR_US


# The digest --------------------------------------------------------------------------------

FULL = f"""{RULE}    where: [amount >= floor]
tags: [a.b]
about: nothing much
provenance: [{{what: a warning, published: 2023-07, by: a paper}}]
blind_spots: [cash]
confusers: [rent]
advice: wait
message: "{{pay.amount}}"
stories:
  - title: a call
    events: [{{at: "10:00", call_invitation: c1}}]
    alerts: []
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("about: nothing much", "about: something"),
        ("published: 2023-07", "published: 2023-08-01"),
        ("blind_spots: [cash]", "blind_spots: [cash, gold]"),
        ("confusers: [rent]", "confusers: []"),
        ("title: a call", "title: another call"),
        ("steps:\n", "steps:\n\n  # a comment\n"),
        ("[3000 CNY, 400 EUR]", "[400 EUR, 3000.00 CNY]"),
        ("while_on: 2h", "while_on: 120m"),
        ("some: 0.25", "some: 0.250"),
        ("where: [amount >= floor]", "where: ['amount >= floor']"),
    ],
)
def test_what_only_people_read_is_not_in_the_digest(before: str, after: str) -> None:
    assert load(FULL.replace(before, after)).digest == load(FULL).digest


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("version: 1.0.0", "version: 1.0.1"),
        ("title: A rule", "title: The rule"),
        ("status: test", "status: stable"),
        ("typology: trial", "typology: other"),
        ("stage: control", "stage: contact"),
        ("severity: low", "severity: high"),
        ("action: warn", "action: hold"),
        ("3000 CNY", "3001 CNY"),
        ("400 EUR", "400 USD"),
        ("while_on: 2h", "while_on: 3h"),
        ("few: 3", "few: 3.0"),
        ("wanted: stranger", "wanted: contact"),
        ("as: call", "as: ring"),
        ("event: call_invitation", "event: screen_share"),
        ("after: call", "around: call"),
        ("within: 2h", "within: 1h"),
        ("amount >= floor", "amount > floor"),
        ("tags: [a.b]", "tags: [a.c]"),
        ("advice: wait", "advice: go on"),
        ("{pay.amount}", "{pay.currency}"),
        ("advice: wait", "advice: wait\nanchor: call"),
        ("advice: wait", "advice: wait\nby: area"),
    ],
)
def test_what_can_change_an_alert_is_in_the_digest(before: str, after: str) -> None:
    changed = FULL.replace(before, after)
    if before == "as: call":
        changed = changed.replace("after: call", "after: ring")

    assert load(changed).digest != load(FULL).digest


WHOLE = RULE.replace("severity: low\naction: warn\n", "").replace(
    "steps:\n",
    """\
raise: at_once
score:
  base: 40
  bands:
    - {from: 40, severity: low, action: warn}
    - {from: 60, severity: high, action: hold}
unless:
  - {as: told, event: official_call, around: call, within: 10m, where: [caller == call.caller]}
evidence:
  - {as: loan, event: loan_drawdown, before: pay, within: 6h, weight: 30}
  - {as: share, either: [{event: screen_share, where: [first]}], during: call, weight: 5}
anchor: pay
steps:
""",
)
WHOLE = f"""{WHOLE}  - as: moves
    each: funds_moved
    before: pay
    within: 1h
    having: [count(moves) >= 2]
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("raise: at_once", "raise: when_final"),
        ("from: 60", "from: 61"),
        ("high, action: hold", "high, action: block"),
        ("high, action: hold", "critical, action: hold"),
        ("as: told, ", ""),
        ("within: 10m", "within: 11m"),
        (", where: [caller == call.caller]", ""),
        ("event: official_call", "event: contact_blocked"),
        ("weight: 30", "weight: 31"),
        ("event: loan_drawdown", "event: funds_moved"),
        ("{event: screen_share, where: [first]}", "{event: screen_share}"),
        ("either: [{event: screen_share, where: [first]}]", "event: screen_share"),
        ("where: [first]}", "where: [first]}, {event: sim_swap}"),
        ("count(moves) >= 2", "count(moves) >= 3"),
        ("each: funds_moved", "each: transfer"),
        ("    each: funds_moved\n", "    event: funds_moved\n"),
    ],
)
def test_exceptions_evidence_bands_and_sets_are_in_the_digest(before: str, after: str) -> None:
    changed = WHOLE.replace(before, after)
    if "event: funds_moved\n" in after:
        changed = changed.replace("    having: [count(moves) >= 2]\n", "")

    assert changed != WHOLE
    assert load(changed).digest != load(WHOLE).digest


def test_the_window_of_the_anchor_is_in_the_digest() -> None:
    text = RULE.partition("steps:")[0] + (
        "anchor: hits\nsteps: [{as: hits, each: alert, within: 3h, having: [count(hits) > 2]}]\n"
    )

    assert load(text).digest != load(text.replace("3h", "4h")).digest
    # What other rules wait for is theirs.
    assert load(text).digest == load(text, Timing(settle_by_type_us={"transfer": 5})).digest


def test_the_settings_that_can_change_an_alert_are_in_the_digest() -> None:
    timings = [
        Timing(),
        Timing(settle_us=HOUR_US),
        Timing(settle_by_type_us={"transfer": HOUR_US}),
        Timing(open_for_us=HOUR_US),
        Timing(timezone="Asia/Shanghai"),
    ]

    assert len({load(FULL, timing).digest for timing in timings}) == len(timings)
    other = Timing(settle_by_type_us={"web_visit": HOUR_US})
    assert load(FULL, other).digest == load(FULL).digest


def test_a_digest_stays_what_it_is() -> None:
    assert load(RULE).digest == "9dc53b025f694d9c70ced81e1febcf4b522984c2b876acab6401f0880d8c324a"


# What is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["id", "version", "title", "status", "typology", "stage", "steps"])
def test_every_required_key_is_missed(key: str) -> None:
    lines = (RULE if key != "steps" else HEAD).splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith(f"{key}:"))

    assert f"tried.yaml:1:1: key '{key}' is missing in a rule" in mistakes(text)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("id: tried", "id: 1", "id is '1', wanted 3 to 64 small letters, digits and _"),
        ("version: 1.0.0", "version: 1.0", "version is '1.0', wanted a form like 1.0.0"),
        ("title: A rule", "title: 3 #", "found '3', wanted text"),
        ("title: A rule that tries things", "title:", "found nothing, wanted text"),
        ("title: A rule that tries things", "title: ' '", "found ' ', wanted text"),
        ("title: A rule that tries things", "title: {a: b}", "found a mapping, wanted text"),
        ("severity: low\n", "", "'score' is missing in a rule, or else 'severity' and 'action'"),
        ("severity: low", "severity: mild", "'mild' is never a value of severity"),
        ("severity: low\n", "score: 3\n", "found '3', wanted a mapping with base and bands"),
        (
            "severity: low\naction: warn",
            "score: {base: 30, bands: [{from: 40, severity: low, action: warn}]}",
            "the first band starts at 40, above the base 30",
        ),
        (
            "severity: low\naction: warn",
            "score: {base: 30, bands: []}",
            "found an empty list, wanted at least one band",
        ),
        (
            "severity: low\naction: warn",
            "score: {base: -1, bands: [3]}",
            "found '-1', wanted a whole number",
        ),
        (
            "severity: low\naction: warn",
            "score: {base: 30, bands: [3]}",
            "found '3', wanted a mapping with from, severity, action",
        ),
        ("while_on: 2h", "media: 2h", "parameter 'media' has the name of a field"),
        ("while_on: 2h", "and: 2h", "'and' is no name, wanted small letters, digits and _"),
        ("while_on: 2h", "while_on: {a: 2h}", "found a mapping, wanted a duration"),
        ("while_on: 2h", "while_on: true", "found 'true', wanted a duration"),
        ("while_on: 2h", "while_on: .inf", "found '.inf', wanted a duration"),
        ("while_on: 2h", "while_on: 0x3", "found '0x3', wanted a duration"),
        ("[3000 CNY, 400 EUR]", "[3000 CNY, [3]]", "found a list, wanted money such as 3000 CNY"),
        ("within: 2h", "within: few", "parameter 'few' is no duration"),
        ("within: 2h", "within: floor", "parameter 'floor' is no duration"),
        ("within: 2h", "within: an hour", "found 'an hour', wanted a duration such as"),
        ("after: call", "after: []", "found an empty list, wanted steps to be after"),
        ("after: call", "after: [call, call]", "step 'call' is named twice"),
        ("after: call", "after: [[call]]", "found a list, wanted a step's name"),
        ("after: call", "after: pay", "'pay' is this step itself, wanted an earlier one"),
        (
            "event: call_invitation",
            "event: call_invitation\n    after: pay\n    within: 1h",
            "later",
        ),
        ("as: pay", "as: in", "'in' is a word of conditions, wanted another name"),
        ("as: pay", "as: Pay", "as is 'Pay', wanted small letters, digits and _"),
        ("as: pay", "az: pay", "key 'as' is missing in a step"),
        ("event: transfer", "event: [transfer]", "found a list, wanted text"),
        ("event: transfer", "event: transfer\n    where: first", "wanted a list of conditions"),
        ("event: transfer", "event: transfer\n    where: [[first]]", "wanted a condition"),
        ("event: transfer", "event: trnsfer\n    where: [first]", "'trnsfer' is no event"),
        ("    after: call\n    within: 2h\n", "    within: 2h\n", "a relation is missing"),
        ("    after: call\n    within: 2h\n", "", "a relation is missing"),
        (
            "    after: call\n    within: 2h\n",
            "    relations: []\n",
            "wanted at least one relation",
        ),
        ("    after: call\n    within: 2h\n", "    relations: [call]\n", "wanted a relation"),
        ("  - as: call\n    event: call_invitation\n", "  - call\n", "wanted a step"),
        (STEPS, "  []\n", "found an empty list, wanted at least one step"),
        (STEPS, "  {}\n", "found a mapping, wanted a list of steps"),
    ],
)
def test_what_is_wrong_in_a_rule_is_named(before: str, after: str, message: str) -> None:
    assert before in RULE

    assert any(message in mistake for mistake in mistakes(RULE.replace(before, after)))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("raise: never", "'never' is never a value of raise"),
        ("anchor: pya", "did you mean 'pay'?"),
        ("by: payee", "call_invitation has no payee_account, so it is found under no payee"),
        ("tags: [A]", "'A' is no tag"),
        ("tags: [a, a]", "tag 'a' stands here twice"),
        ("tags: [3]", "found '3', wanted text"),
        ("score: {}", "'severity' stands beside 'score', wanted it in a band"),
        ("provenance: [3]", "found '3', wanted a mapping with what, published, by"),
        ("stories: 3", "found '3', wanted a list of stories"),
        ("stories: [3]", "found '3', wanted a story"),
        ("message: '{pay.amount'", "'{' is never closed"),
        ("message: '{pay.amount} }'", "'}' closes nothing"),
        ("message: '{few + 1}'", "a message shows plain values only"),
        ("message: '{whoever}'", "unknown name 'whoever' in a message"),
        ("message: '{pay}'", "'pay' is a step, not a value"),
        ("message: '{wanted}'", "'wanted' meets nothing that says what it is"),
        ("message: '{}'", "found an empty condition"),
        ("message: |\n  all of {it}", ":24:10: unknown name 'it' in a message"),
    ],
)
def test_what_is_wrong_at_the_top_is_named(line: str, message: str) -> None:
    assert any(message in mistake for mistake in mistakes(f"{RULE}{line}\n"))


def test_a_rule_has_no_more_steps_than_anybody_needs() -> None:
    steps = [f"  - {{as: s{n}, event: transfer, during: call}}\n" for n in range(49)]

    assert mistakes(RULE + "".join(steps[:48])) == []
    (mistake,) = mistakes(RULE + "".join(steps))
    assert "a rule has at most 50 steps, found 51" in mistake


def test_parameters_are_a_mapping() -> None:
    text = HEAD.partition("params:")[0] + "params: 3\nsteps:\n" + STEPS

    (mistake,) = mistakes(text)
    assert "found '3', wanted a mapping of parameters" in mistake


def test_a_message_that_names_a_mistaken_step_is_not_judged_as_well() -> None:
    text = RULE.replace("event: transfer", "event: trasnfer")

    (mistake,) = mistakes(f"{text}message: '{{pay.amount}}'\n")
    assert "'trasnfer' is no event of a pattern" in mistake


def test_a_bound_that_names_a_mistaken_parameter_is_not_judged_as_well() -> None:
    text = RULE.replace("within: 2h", "within: while_on").replace("while_on: 2h", "while_on:")

    (mistake,) = mistakes(text)
    assert "found nothing, wanted a duration" in mistake


def test_a_rule_may_wait_until_it_is_certain() -> None:
    assert (load(RULE).raises, load(f"{RULE}raise: when_final\n").raises) == (
        "at_once",
        "when_final",
    )


def test_raise_at_once_is_what_happens_anyway() -> None:
    assert load(f"{RULE}raise: at_once\n").digest == load(RULE).digest


@given(
    st.integers(0, 10**9).map(str)
    | st.from_regex(r"([0-9]{1,3}d)?[0-9]{1,3}[hms]", fullmatch=True)
)
def test_a_bound_is_a_duration_or_a_mistake(text: str) -> None:
    found = mistakes(RULE.replace("within: 2h", f"within: '{text}'"))

    assert bool(found) is text.isdigit()
