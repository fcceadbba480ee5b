"""What stands in a condition alone: names, numbers and texts, each with what is known of it.

A text has no kind until it meets something that has one.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from rules.condition import Constant, Expression, Field, Parameter
from rules.events import EventSpec, FieldSpec, Kind
from rules.language.literals import LiteralError, Param, read_literal
from rules.language.mistakes import quoted, sole, suggestion, with_article
from rules.language.tokens import ConditionError


@dataclass(frozen=True)
class Scope:
    """What a line of a rule may name.

    A type or parameter that is itself mistaken is None: what names it cannot be judged.

    Attributes:
        place: What the line is, for messages: `a condition on transfer`, `a message`.
        step: The step that it belongs to; empty in a message.
        own: The event type whose fields are bare names; None in a message and under `having`.
        steps: The other steps that bind one event, with what it is.
        sets: The sets, with what their members are.
        single: All names that stand for one event here; the set that is the anchor does.
        barred: Names that exist and may not stand here, and why not.
        adds_up: Whether `count`, `sum`, `least` and `greatest` may stand here.
        parameters: The rule's parameters.
        timezone: Where hours and weekdays are read.
    """

    place: str
    step: str
    own: EventSpec | None
    steps: Mapping[str, EventSpec | None]
    sets: Mapping[str, EventSpec | None]
    single: frozenset[str]
    barred: Mapping[str, str]
    adds_up: bool
    parameters: Mapping[str, Param | None]
    timezone: str


class UnjudgedError(ConditionError):
    """Nothing can be said of a part, because what it names has a mistake of its own."""


@dataclass(frozen=True)
class Operand:
    """A typed part: its node, and the field whose values it has, if it is one."""

    node: ast.expr
    expression: Expression
    spec: FieldSpec | None = None

    @property
    def kind(self) -> Kind:
        """The kind of its values."""
        return self.expression.kind


@dataclass(frozen=True)
class Loose:
    """A text that has not met anything yet, written there or given by a parameter."""

    node: ast.expr
    text: str
    parameter: str | None = None


class Names:
    """Looks up what one condition names, and says where in its text a mistake is."""

    def __init__(self, text: str, scope: Scope) -> None:
        self._text = text
        self._bytes = text.encode()
        self._scope = scope
        self.own_names: set[int] = set()
        self.mistakes: list[ConditionError] = []

    def offset(self, byte_offset: int) -> int:
        """Return the offset in characters; `ast` counts bytes of UTF-8."""
        return len(self._bytes[:byte_offset].decode())

    def _look_up(self, node: ast.Name | ast.Attribute | ast.Constant) -> Operand | Loose:
        if isinstance(node, ast.Name):
            return self._name(node)
        return self._attribute(node) if isinstance(node, ast.Attribute) else self._constant(node)

    def _name(self, node: ast.Name) -> Operand | Loose:
        name, scope = node.id, self._scope
        spec = scope.own.fields.get(name) if scope.own is not None else None
        if spec is not None:
            self.own_names.add(node.col_offset)
            return Operand(node, Field(scope.step, name, spec.kind, spec.open), spec)
        if name in scope.parameters:
            return self._parameter(node, scope.parameters[name])
        if name in scope.steps or name in scope.sets:
            wanted = f"write '{name}.' and one of its fields"
            raise self._wrong(node, f"'{name}' is a step, not a value", wanted)
        raise self._unknown_name(node)

    def _parameter(self, node: ast.Name, parameter: Param | None) -> Operand | Loose:
        if parameter is None:
            raise UnjudgedError(node.col_offset, "")
        if parameter.kind is Kind.TEXT:
            return Loose(node, str(parameter.value), parameter.name)
        return Operand(node, Parameter(parameter.name, parameter.value, parameter.kind))

    def _unknown_name(self, node: ast.Name) -> ConditionError:
        scope = self._scope
        what = f"unknown name {quoted(node.id)} in {scope.place}"
        if scope.own is None:
            names = {*scope.parameters, *scope.steps, *scope.sets}
            return self._wrong(node, what, suggestion(node.id, names, "steps and parameters"))
        fields, own = scope.own.fields, {*scope.parameters, *scope.steps, *scope.sets}
        sure = sole(node.id, fields, own)
        hint = suggestion(node.id, fields, "fields", scope.parameters, sure=sure)
        return self._wrong(node, what, hint)

    def _attribute(self, node: ast.Attribute) -> Operand:
        step, scope = self._step(node.value), self._scope
        if step in scope.sets:
            hint = f"write count({step}.{node.attr}), or sum, least or greatest, under 'having'"
            raise self._wrong(node, f"'{step}' is a set, it has no single {node.attr}", hint)
        if step == scope.step:
            raise self._wrong(node, f"'{step}' is this step itself", f"write '{node.attr}' alone")
        spec = self._field(node, step, scope.steps[step])
        return Operand(node, Field(step, node.attr, spec.kind, spec.open), spec)

    def _field(self, node: ast.Attribute, step: str, event: EventSpec | None) -> FieldSpec:
        if event is None:
            raise UnjudgedError(node.col_offset, "")
        spec = event.fields.get(node.attr)
        if spec is None:
            sure = sole(node.attr, event.fields)
            hint = suggestion(node.attr, event.fields, "fields", sure=sure)
            what = f"unknown name {quoted(node.attr)} of step '{step}', {with_article(event.name)}"
            raise ConditionError(self._end(node) - len(node.attr), what, hint)
        return spec

    def _step(self, node: ast.expr) -> str:
        """Return the name of a step that stands here."""
        if not isinstance(node, ast.Name):
            raise self._wrong(node, f"{self._quote(node)} stands where a step's name is wanted")
        scope = self._scope
        if node.id in scope.barred:
            raise self._wrong(node, scope.barred[node.id])
        if node.id != scope.step and node.id not in {*scope.steps, *scope.sets}:
            hint = suggestion(node.id, {*scope.steps, *scope.sets}, "steps")
            raise self._wrong(node, f"unknown step {quoted(node.id)}", hint)
        return node.id

    def _constant(self, node: ast.Constant) -> Operand | Loose:
        if isinstance(node.value, str):
            return Loose(node, node.value)
        if node.value is None:
            raise self._wrong(node, "None is no value", "write 'is None' or 'is not None'")
        return Operand(node, self._number(node))

    def _number(self, node: ast.expr, sign: int = 1) -> Constant:
        # The digits as written: a float would already have changed them.
        digits = self._source(node)
        if "." in digits:
            return Constant(sign * Decimal(digits), Kind.NUMBER)
        return Constant(sign * int(digits), Kind.INTEGER)

    def _known(self, operand: Operand | Loose) -> Operand:
        if isinstance(operand, Loose):
            what = f"{self._quote(operand.node)} meets nothing that says what it is"
            raise self._wrong(operand.node, what)
        return operand

    def _meet(self, first: Operand | Loose, second: Operand | Loose) -> tuple[Operand, Operand]:
        """Return both with their kinds: a text takes that of the other."""
        if isinstance(second, Loose):
            known = self._known(first)
            return known, self._read(second, known.kind, known)
        if isinstance(first, Loose):
            return self._read(first, second.kind, second), second
        return first, second

    def _read(self, loose: Loose, kind: Kind, beside: Operand | None = None) -> Operand:
        spec = beside.spec if beside is not None else None
        if kind is Kind.PSEUDONYM and beside is not None:
            what = f"{self._quote(beside.node)} is a pseudonym, {self._quote(loose.node)} is text"
            hint = "a pseudonym compares with another of its kind, or with None"
            raise self._wrong(loose.node, what, hint)
        try:
            value = read_literal(loose.text, kind, spec)
        except LiteralError as error:
            at = loose.node.col_offset
            raise ConditionError(self.offset(at), error.message, error.hint) from error
        if loose.parameter is not None:
            return Operand(loose.node, Parameter(loose.parameter, value, kind))
        return Operand(loose.node, Constant(value, kind))

    def _wrong(self, node: ast.expr, message: str, hint: str | None = None) -> ConditionError:
        return ConditionError(self.offset(node.col_offset), message, hint)

    def _end(self, node: ast.expr) -> int:
        return self.offset(node.end_col_offset or node.col_offset)

    def _source(self, node: ast.expr) -> str:
        return self._text[self.offset(node.col_offset) : self._end(node)]

    def _quote(self, node: ast.expr) -> str:
        return quoted(self._source(node))
