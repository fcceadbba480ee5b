"""The catalogue in print."""

from rules.authoring.catalogue_page import catalogue_page
from rules.authoring.mutants import Tried
from rules.language import check_files
from rules.language.mistakes import Place
from rules.timing import Timing

BARE = """\
id: bare
version: 1.0.0
title: Nothing but a pattern
status: test
typology: a_pattern
stage: cut_off
severity: low
action: warn
steps:
  - {as: pay, event: transfer}
"""
FULL = """\
id: full
version: 1.0.0
title: All that can be said
status: test
typology: all_of_it
stage: contact
tags: [f3.monetization]
about: |
  What it is for.
provenance:
  - {what: A warning, published: 2023-07, by: The police}
  - {what: Another one, by: The press}
blind_spots: [the dark]
confusers: [a friend calls]
advice: Hang up.
params:
  floor: [3000 CNY, 400 EUR]
steps:
  - {as: pay, event: transfer, where: [amount >= floor]}
score:
  base: 40
  bands:
    - {from: 40, severity: low, action: warn}
stories:
  - title: a payment
    events:
      - {at: "10:00", transfer: p1}
    alerts: [{anchor: p1}]
"""
FILES = {"bare.yaml": BARE, "full.yaml": FULL}


def page() -> str:
    tried = {
        "bare": [],
        "full": [
            Tried(Place(19, 1), "this for that", "a story", "a payment"),
            Tried(Place(20, 1), "that for this", "a story", None),
        ],
    }
    rules = check_files(FILES, Timing())
    return catalogue_page(rules, FILES, tried, ("rules", "pictures"))


def test_a_rule_says_all_that_its_file_says_to_people() -> None:
    text = page()
    section = text[text.index("## All of it") : text.index("## A pattern")]
    assert section == (
        "## All of it\n\n### full\n\n"
        "**All that can be said.** Whole in [`full.yaml`](rules/full.yaml).\n\n"
        "What it is for.\n\n![a payment](pictures/full.svg)\n\n"
        "*Looks alike and stays silent*:\n\n* a friend calls\n\n"
        "*Cannot see*:\n\n* the dark\n\n"
        "*At the desk*: Hang up.\n\n"
        "*Parameters*:\n\n* `floor` 3000 CNY | 400 EUR\n\n"
        "*Sources*:\n\n* A warning (The police, 2023-07)\n* Another one (The press)\n\n"
        "*Mutants that no story notices*:\n\n* line 20: that for this\n\n"
    )


def test_what_a_rule_does_not_say_is_left_out() -> None:
    assert page().endswith(
        "## A pattern\n\n### bare\n\n"
        "**Nothing but a pattern.** Whole in [`bare.yaml`](rules/bare.yaml).\n"
    )


def test_the_head_adds_up_and_goes_by_stage() -> None:
    text = page()
    assert "2 rules of 2 typologies" in text
    assert "notice 1 of 2 (50.0 %)" in " ".join(text.split())
    rows = [line for line in text.splitlines() if line.startswith("| [")]
    assert rows == [
        "| [`full`](#full) | contact | warn | 1 | 1 of 2 (50.0 %) |",
        "| [`bare`](#bare) | cut_off | warn | 0 | 0 of 0 (100.0 %) |",
    ]
