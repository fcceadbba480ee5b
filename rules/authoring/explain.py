"""Why a rule matched at an event, or how near it came: in words, and as JSON values."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rules.alert import Json
from rules.authoring.failures import Failure, place_of
from rules.authoring.fitting import Choice, Events, Verdict
from rules.authoring.nearest import Nearest, nearest
from rules.claim import condition_line, position
from rules.condition import Condition
from rules.fact import Event
from rules.moment import format_moment
from rules.reach import Relation
from rules.rule import Rule

_SHOWN: Final = 20
_OUTCOMES: Final = {True: "yes", False: "no", None: "unknown"}


class NoAnchorError(LookupError):
    """No event of the anchor's types has the id that was asked for; the text says which have."""


@dataclass(frozen=True, slots=True)
class Check:
    """One relation or condition with its values, and what it came to; None is unknown."""

    outcome: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """How one step, `unless` or evidence fares, with everything that was checked of it.

    Of a set without members, `nearest` is the event that comes nearest to being one, and why it
    is none, if there is such an event.
    """

    verdict: Verdict
    checks: tuple[Check, ...]
    nearest: tuple[Event, tuple[Failure, ...]] | None = None

    def as_lines(self) -> Iterator[str]:
        """Yield what it is and binds, and a line for each check; of what is absent, why."""
        verdict = self.verdict
        name, failures = verdict.step.name, verdict.failures
        head = {
            "step": name,
            "unless": f"unless {name}",
            "evidence": f"evidence {name} (+{verdict.step.weight})",
        }[verdict.role]
        if verdict.is_there is None:
            yield f"{head}: not judged, since a step that it names has no event"
        elif verdict.role == "step" or verdict.is_there:
            yield f"{head}: {_shown(verdict) or failures[0].says}"
            yield from (f"  {_OUTCOMES[c.outcome]:<8} {c.text}" for c in self.checks)
        elif not isinstance(verdict.bound, Event):
            yield f"{head}: not there, since {' and '.join(failure.says for failure in failures)}"
        else:
            yield f"{head}: not there; the nearest: {_shown(verdict)}"
            yield from (f"  {'no':<8} {failure.says}" for failure in failures)
        if self.nearest is not None:
            event, found = self.nearest
            yield f"  the nearest to a member: {event.identity.type} {_named(event)}"
            yield from (f"    {'no':<6} {failure.says}" for failure in found)

    def as_json(self) -> Json:
        """Return the same as JSON values."""
        verdict = self.verdict
        bound = verdict.bound
        events = bound if isinstance(bound, tuple) else () if bound is None else (bound,)
        return {
            "step": verdict.step.name,
            "role": verdict.role,
            "there": verdict.is_there,
            **({"weight": verdict.step.weight} if verdict.role == "evidence" else {}),
            "count": len(events),
            "events": [_coordinates(event) for event in events[-_SHOWN:]],
            "checks": [{"outcome": _OUTCOMES[c.outcome], "text": c.text} for c in self.checks],
            "fails_on": [_as_json(failure) for failure in verdict.failures],
            **({} if self.nearest is None else {"nearest": _near_as_json(*self.nearest)}),
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a rule matched at an anchor, or what the nearest choice of events missed.

    Attributes:
        rule: The rule.
        matched: Whether the engine, if nothing is late or capped, ends with an alert here.
        anchor: The event that it is about; None if there is none.
        score: What the choice scores, or would score if it matched.
        parts: How each step, `unless` and evidence fares, in the order of the file.
        misses: Why it does not match, in the order of the file.
        others: Further events at which the rule matches, the greatest first.
        cut_short: Whether the search ended early, so that a nearer choice may exist.
    """

    rule: Rule
    matched: bool
    anchor: Event | None
    score: int
    parts: tuple[Part, ...]
    misses: tuple[Failure, ...]
    others: tuple[Event, ...] = ()
    cut_short: bool = False

    def as_lines(self) -> list[str]:
        """Return the explanation as a person reads it."""
        rule, band = self.rule, self.rule.band(self.score)
        name = f"{rule.id} {rule.version}"
        outcome = f"score {self.score}, {band.severity}, {band.action}"
        if self.anchor is None:
            lines = [f"{name} does not match"]
        elif self.matched:
            lines = [f"{name} matches at {rule.anchor} {_named(self.anchor)}: {outcome}"]
        else:
            near = f"{rule.anchor} {_named(self.anchor)}, where it would have {outcome}"
            lines = [f"{name} does not match; it comes nearest at {near}"]
        lines += [
            f"  {'unless ' * (miss.on == 'unless')}{miss.step}: {miss.says}"
            for miss in self.misses
        ]
        if self.cut_short:
            lines.append("  the search ended early, so something nearer may be there")
        if self.others:
            lines.append(f"  it also matches at {_ids(self.others)}")
        return [*lines, *(line for part in self.parts for line in ("", *part.as_lines()))]

    def as_json(self) -> Json:
        """Return the explanation as JSON values in a fixed order."""
        band = self.rule.band(self.score)
        return {
            "rule": self.rule.id,
            "version": self.rule.version,
            "matched": self.matched,
            "anchor": None if self.anchor is None else _coordinates(self.anchor),
            "score": self.score,
            "severity": band.severity,
            "action": band.action,
            "misses": [_as_json(miss) for miss in self.misses],
            "parts": [part.as_json() for part in self.parts],
            "also_matches": [_coordinates(event) for event in self.others],
            **({"cut_short": True} if self.cut_short else {}),
        }


def explain(rule: Rule, events: Iterable[Event], anchor: str | None = None) -> Explanation:
    """Return why a rule matched, or its nearest miss, over the events of one key.

    Without `anchor` that is the match at the greatest event, if there is one.

    Args:
        rule: the rule.
        events: what is known under one key, in any order.
        anchor: the own id of the event that it must be about.

    Raises:
        NoAnchorError: no event that the anchor's step could bind has this id.
    """
    known = Events(rule, events)
    anchors = [e for e in known.anchors if anchor is None or e.identity.id == anchor]
    if anchor is not None and not anchors:
        raise NoAnchorError(_no_anchor(known, anchor))
    matches = [match for event in anchors if (match := known.match(event)) is not None]
    if matches:
        choice = known.of_match(matches[0])
        others = tuple(match.anchor for match in matches[1:])
        return _explained(known, choice, matched=True, others=others)
    found = nearest(known, anchors)
    return _explained(known, found.choice, matched=False, cut_short=found.cut_short)


def nearest_misses(rule: Rule, events: Iterable[Event]) -> tuple[Failure, ...]:
    """Return what the nearest choice fails on, over all keys and all anchors without a match.

    The first is the nearest miss: its `step`, and the field or relation that it failed `on`.
    Where there is nothing that a match is missing at, there is none.
    """
    by_key: dict[str, list[Event]] = {}
    for event in events:
        key = event.keys().get(rule.by)
        if key is not None:
            by_key.setdefault(key, []).append(event)
    found = [near for of_key in by_key.values() if (near := _near(rule, of_key)) is not None]
    if not found:
        return ()
    least = min(near.cost for near in found)
    return max((n for n in found if n.cost == least), key=lambda n: n.places).choice.misses


def nearest_miss(rule: Rule, events: Iterable[Event]) -> Failure | None:
    """Return the first of the nearest misses, if there is any."""
    return next(iter(nearest_misses(rule, events)), None)


def _near(rule: Rule, events: Sequence[Event]) -> Nearest | None:
    known = Events(rule, events)
    missed = [event for event in known.anchors if known.match(event) is None]
    return nearest(known, missed) if missed or not known.anchors else None


def _no_anchor(known: Events, anchor: str) -> str:
    step = known.rule.parts[known.plan.anchor]
    types = " or ".join(dict.fromkeys(option.event for option in step.options))
    ids = f"there are {_ids(known.anchors)}" if known.anchors else "there is none at all"
    return f"no {types} under this key has the id '{anchor}'; {ids}"


def _explained(
    known: Events,
    choice: Choice,
    *,
    matched: bool,
    others: tuple[Event, ...] = (),
    cut_short: bool = False,
) -> Explanation:
    there = (v for v in choice.verdicts if v.role == "evidence" and v.is_there)
    return Explanation(
        rule=known.rule,
        matched=matched,
        anchor=choice.anchor,
        score=known.rule.base + sum(verdict.step.weight for verdict in there),
        parts=tuple(_part(known, choice, part) for part in range(len(choice.verdicts))),
        misses=choice.misses,
        others=others,
        cut_short=cut_short,
    )


def _part(known: Events, choice: Choice, part: int) -> Part:
    verdict, chosen = choice.verdicts[part], (*choice.bound, choice.anchor)
    checks = tuple(_checks(known, choice, part))
    if verdict.bound != ():
        return Part(verdict, checks)
    found = known.nearest_of(part, chosen, known.of_part(part))
    return Part(verdict, checks, None if found is None else (found[0], tuple(found[1])))


def _checks(known: Events, choice: Choice, part: int) -> Iterator[Check]:
    """Yield the checks of a part, as an alert's `because` says them, with what they came to."""
    verdict = choice.verdicts[part]
    step, bound = verdict.step, verdict.bound
    if bound is None:
        return
    chosen = [*choice.bound, choice.anchor]
    chosen[part] = bound
    if isinstance(bound, tuple):
        among = f"  ({len(bound)} of them)"
        texts = [f"{step.name} {relation.text}" for relation in step.relations]
        texts += [condition.text for option in step.options for condition in option.where]
        texts += [condition.text for condition in step.where]
        # Of no members nothing is true.
        yield from (Check(outcome=True, text=text + among) for text in texts if bound)
        yield from (_check(known, step.name, c, chosen) for c in step.having)
        return
    own = next(o.where for o in step.options if o.event == bound.identity.type)
    checks: tuple[Relation | Condition, ...] = (*step.relations, *own, *step.where)
    for check in checks:
        named = {check.other} if isinstance(check, Relation) else check.steps - {step.name}
        if all(known.is_bound(name, chosen) for name in named):
            yield _check(known, step.name, check, chosen)


def _check(known: Events, step: str, check: Relation | Condition, chosen: Sequence[Any]) -> Check:
    rule = known.rule
    if isinstance(check, Condition):
        outcome = known.failures.value(check.expression, chosen)
        # Over a set, its name stands for the anchor, if for any event.
        own = "" if isinstance(chosen[rule.index[step]], tuple) else step
        return Check(outcome, condition_line(rule, check, own)(chosen))
    # Nothing is checked that names the anchor where there is none.
    event, other = chosen[rule.index[step]], chosen[place_of(rule, check.other)]
    outcome = check.holds(event, other)
    return Check(outcome, f"{step} {check.text}  ({position(event, other)})")


def _shown(verdict: Verdict) -> str:
    """Return what a part binds in a few words; nothing if that is nothing."""
    bound = verdict.bound
    if bound is None:
        return ""
    if isinstance(bound, tuple):
        return (
            f"{len(bound) or 'none'} of {_types(verdict)}{': ' * bool(bound)}{_ids(bound[::-1])}"
        )
    late = ", late" if bound.late else ""
    if bound.end_us == bound.start_us:
        return f"{bound.identity.type} {_named(bound)}{late}"
    until = f"{format_moment(bound.end_us)}{', no end yet' * bound.open}"
    return f"{bound.identity.type} {_named(bound, f' to {until}')}{late}"


def _types(verdict: Verdict) -> str:
    return " or ".join(dict.fromkeys(option.event for option in verdict.step.options))


def _named(event: Event, until: str = "") -> str:
    source, _, own_id = event.identity
    return f"{own_id} of {source} ({format_moment(event.start_us)}{until})"


def _ids(events: Sequence[Event]) -> str:
    more = f" and {len(events) - _SHOWN} more" if len(events) > _SHOWN else ""
    return ", ".join(event.identity.id for event in events[:_SHOWN]) + more


def _coordinates(event: Event) -> Json:
    source, event_type, own_id = event.identity
    return {
        "source": source,
        "type": event_type,
        "id": own_id,
        "at": format_moment(event.start_us),
        "until": format_moment(event.end_us),
    }


def _near_as_json(event: Event, failures: Sequence[Failure]) -> Json:
    return {**_coordinates(event), "fails_on": [_as_json(failure) for failure in failures]}


def _as_json(failure: Failure) -> Json:
    return {"step": failure.step, "on": failure.on, "says": failure.says}
