"""A story as a picture."""

from xml.etree import ElementTree as ET

from rules.authoring.timeline import timeline
from rules.language import load_stories
from rules.timing import Timing

TIMING = Timing()
RULE = """\
id: tried
version: 1.0.0
title: A rule that tries things
status: test
typology: trial
stage: control
severity: low
action: warn
steps:
  - {as: pay, event: transfer}
stories:
  - title: what <some> & others do
    events:
      - {at: "10:00", call_invitation: c1, answered_at: "10:01"}
      - {at: "10:30:15", transfer: p1}
      - {at: "1d 10:00", transfer: p2}
      - {at: "1d 10:05", update: p2, status: held}
      - {at: "1d 11:00", screen_share: s1, ended_at: "1d 15:00"}
    alerts: [{anchor: p1, action: warn}, {anchor: p2}]
  - title: one moment
    events:
      - {at: "10:00", transfer: p1}
    alerts: [{anchor: p1}]
"""
TOLD, MOMENT = load_stories({"tried.yaml": RULE}, TIMING)["tried"]
SVG = "{http://www.w3.org/2000/svg}"


def texts(picture: str) -> list[str | None]:
    return [node.text for node in ET.fromstring(picture).iter(f"{SVG}text")]  # noqa: S314 - ours


def test_each_event_has_a_line_with_what_and_when() -> None:
    assert texts(timeline(TOLD, TIMING)) == [
        "what <some> & others do",
        "call_invitation c1",
        "10:00 to some time",
        "transfer p1",
        "10:30:15 warn",
        "transfer p2",
        "1d 10:00",
        "screen_share s1",
        "1d 11:00 to 1d 15:00",
    ]


def test_what_the_alerts_are_about_is_marked_and_the_sides_are_told_apart() -> None:
    shapes = [
        (node.tag.removeprefix(SVG), node.get("class"))
        for node in ET.fromstring(timeline(TOLD, TIMING))  # noqa: S314 - ours
        if node.get("class") in ("anchor", "calls", "bank")
    ]
    assert shapes == [
        ("rect", "calls"),
        ("circle", "anchor"),
        ("circle", "anchor"),
        ("rect", "calls"),
    ]


def test_nothing_leaves_the_picture() -> None:
    for story in (TOLD, MOMENT):
        root = ET.fromstring(timeline(story, TIMING))  # noqa: S314 - ours
        width = int(root.get("width", "0"))
        for node in root:
            x, more = node.get("cx") or node.get("x"), int(node.get("width") or 0)
            assert x is None or 0 <= int(x) + more <= width


def test_the_same_story_gives_the_same_bytes() -> None:
    assert timeline(TOLD, TIMING) == timeline(TOLD, TIMING)
