"""The outcome of a rule: its base score and what each score means."""

from typing import cast, get_args

from rules.events import Action, Severity
from rules.language.keys import BAND, SCORE, required
from rules.language.mistakes import Mistakes, Place
from rules.language.section import Section, as_table
from rules.rule import Band

_MOST_SUMS = 10_000


def read_outcome(
    rule: Section, weights: tuple[int, ...], mistakes: Mistakes
) -> tuple[int, tuple[Band, ...]]:
    """Return the base score and the bands; one outcome is a single band from 0.

    Args:
        rule: where `score`, or else `severity` and `action`, stand.
        weights: what each evidence can add.
        mistakes: where everything goes that is wrong.
    """
    single = [key for key in ("severity", "action") if key in rule]
    if "score" not in rule:
        if len(single) < 2:  # noqa: PLR2004 - severity and action
            what = "'score' is missing in a rule, or else 'severity' and 'action'"
            mistakes.add(rule.at, what)
        return 0, (_band(rule, 0),)
    for key in single:
        mistakes.add(rule.place(key), f"'{key}' stands beside 'score', wanted it in a band")
    node = rule.node("score")
    table = None if node is None else as_table(node, "a mapping with base and bands", mistakes)
    if table is None:
        return 0, ()
    score = Section(table, "score", mistakes, known=SCORE, required=required(SCORE))
    base = score.integer("base")
    placed = _bands(score, mistakes)
    bands = tuple(band for band, _ in placed)
    if base is not None and bands and bands[0].floor > base:
        what = f"the first band starts at {bands[0].floor}, above the base {base}"
        score.wrong("bands", what)
    elif base is not None and not mistakes.errors:
        _check_reached(base, weights, placed, mistakes)
    return base or 0, bands


def _bands(score: Section, mistakes: Mistakes) -> list[tuple[Band, Place]]:
    bands: list[tuple[Band, Place]] = []
    for item in score.items("bands", "a list of bands", one="at least one band"):
        table = as_table(item, "a mapping with from, severity, action", mistakes)
        if table is None:
            continue
        entry = Section(table, "a band", mistakes, known=BAND, required=required(BAND))
        band = _band(entry, entry.integer("from"))
        if bands and band.floor <= bands[-1][0].floor:
            mistakes.add(table.at, "bands go up, wanted a 'from' above the one before")
        bands.append((band, table.at))
    return bands


def _band(section: Section, floor: int | None) -> Band:
    severity = section.one_of("severity", get_args(Severity)) or "info"
    action = section.one_of("action", get_args(Action)) or "none"
    return Band(floor or 0, cast("Severity", severity), cast("Action", action))


def _check_reached(
    base: int, weights: tuple[int, ...], bands: list[tuple[Band, Place]], mistakes: Mistakes
) -> None:
    """Note each band that no score reaches; of too many scores to try, nothing is said."""
    scores = {base}
    for weight in weights:
        scores |= {score + weight for score in scores}
        if len(scores) > _MOST_SUMS:
            return
    ends = [*(band.floor for band, _ in bands[1:]), None]
    for (band, at), end in zip(bands, ends, strict=True):
        if any(band.floor <= score and (end is None or score < end) for score in scores):
            continue
        why = f"the greatest score is {max(scores)}"
        if end is not None and band.floor <= max(scores):
            why = f"no score lies from {band.floor} to {end - 1}"
        mistakes.add(at, f"the band from {band.floor} is never reached: {why}")
