"""Lines of a rule that nothing fulfils, or everything, noted where they stand."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from rules.condition import Field, Parameter, walk
from rules.events import EventSpec
from rules.language.mistakes import Mistakes
from rules.language.sense import Classes, Contradiction, contradictions, empty_term
from rules.language.steps import CheckedStep, Line, Parts

_SO = {
    "step": None,
    "unless": "so this 'unless' can never apply",
    "evidence": "so this evidence is never there",
}


def note_vain_lines(parts: Parts, overridden: Collection[str], mistakes: Mistakes) -> None:
    """Note the lines that can never be true, alone or beside others, and the empty ones.

    A line stands beside the others of its step and those of the steps that it may name, since
    all of them are true of a binding that it is judged for.

    Args:
        parts: the steps of a rule.
        overridden: parameters that were set from outside.
        mistakes: where everything goes that is wrong.
    """
    events = {part.step.name: part.event for part in parts.all}
    before: list[Line] = []
    for part in parts.all:
        for event, own in _variants(part):
            classes = _classes({**events, part.step.name: event})
            _note_contradictions(part, before, own, classes, mistakes)
        for line in part.lines:
            classes = _classes({**events, part.step.name: _event_of(line, part)})
            _note_empty(line, classes, overridden, mistakes)
        if part.role == "step" and not part.step.each:
            before += [line for line in part.lines if line.option is None]


def _note_contradictions(
    part: CheckedStep,
    before: Sequence[Line],
    own: Sequence[Line],
    classes: Classes,
    mistakes: Mistakes,
) -> None:
    lines = [*before, *own]
    asked = [line.condition.expression for line in lines]
    for found in contradictions(asked, classes, judged=len(before)):
        # A mistake is noted once.
        mistakes.add(lines[found.line].at, _says(found, lines), _SO[part.role])


def _variants(part: CheckedStep) -> Iterator[tuple[EventSpec | None, list[Line]]]:
    """Yield the lines that must be true together: for each type it can bind, and of its set."""
    for event in part.events:
        name = None if event is None else event.name
        own = [n for n in part.lines if not n.of_set and n.option in (None, name)]
        yield event, own
    yield part.event, [line for line in part.lines if line.of_set]


def _classes(events: Mapping[str, EventSpec | None]) -> Classes:
    def classes(field: Field) -> Sequence[str]:
        event = events[field.step]
        assert event is not None, "no line names a step whose event is mistaken"
        return event.fields[field.name].classes

    return classes


def _says(found: Contradiction, lines: Sequence[Line]) -> str:
    if found.beside is None:
        return f"this can never be true: no {found.term} fits"
    line = lines[found.beside].at.line
    return f"this can never be true together with line {line}: no {found.term} fits both"


def _event_of(line: Line, part: CheckedStep) -> EventSpec | None:
    of_option = (event for event in part.events if event is not None and event.name == line.option)
    return next(of_option, part.event)


def _note_empty(
    line: Line, classes: Classes, overridden: Collection[str], mistakes: Mistakes
) -> None:
    expression = line.condition.expression
    named = {part.name for part in walk(expression) if isinstance(part, Parameter)}
    term = empty_term(expression, classes)
    # Whoever sets a parameter from outside may well switch a condition off by it.
    if term is not None and not named & {*overridden}:
        hint = f"did you mean '{term} is not None'?" if term.isidentifier() else None
        mistakes.add(line.at, f"this is true of every known {term}", hint)
