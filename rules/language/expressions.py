"""Python's syntax tree of a condition, typed against the contract, as nodes of a condition.

Every operator and function says which kinds it takes; what is not named here is refused. A text
has no kind until it meets something that has one.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from rules.condition import (
    Among,
    Arithmetic,
    Call,
    Compare,
    Constant,
    Expression,
    Field,
    Gap,
    Junction,
    Negation,
    Parameter,
    Unknown,
    walk,
)
from rules.events import EventSpec, FieldSpec, Kind
from rules.language.literals import KIND_NAMES, LiteralError, Param, read_literal
from rules.language.mistakes import quoted, suggestion
from rules.language.tokens import ConditionError

_NUMBERS = frozenset({Kind.INTEGER, Kind.NUMBER})
_AMOUNTS = frozenset({Kind.MONEY, Kind.DURATION})
_ORDERED = frozenset({*_NUMBERS, *_AMOUNTS, Kind.MOMENT, Kind.TEXT})
_COMPARE: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_ARITHMETIC: Mapping[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Mod: "%",
}
_ARITHMETIC_HINT = (
    "+ - * / % go between numbers, + - between money or durations, * / between one of these "
    "and a number, - between moments"
)


@dataclass(frozen=True)
class Scope:
    """What a condition may name.

    `own` is the event type of the step that it stands in, whose fields are bare names; None in a
    message. `steps` are the other steps that it may name, `later` those it may not yet. A type
    or parameter that is itself mistaken is None: what names it cannot be judged.
    """

    step: str
    own: EventSpec | None
    steps: Mapping[str, EventSpec | None]
    later: frozenset[str]
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
        return self.expression.kind


@dataclass(frozen=True)
class Loose:
    """A text that has not met anything yet, written there or given by a parameter."""

    node: ast.expr
    text: str
    parameter: str | None = None


class Typist:
    """Types one syntax tree; mistakes that do not hinder each other are all noted."""

    def __init__(self, text: str, scope: Scope) -> None:
        self._text = text
        self._bytes = text.encode()
        self._scope = scope
        self.own_names: set[int] = set()
        self.mistakes: list[ConditionError] = []

    def offset(self, byte_offset: int) -> int:
        """Return the offset in characters; `ast` counts bytes of UTF-8."""
        return len(self._bytes[:byte_offset].decode())

    def condition(self, node: ast.expr) -> Expression | None:
        """Return the expression of a whole condition, or None if it has mistakes."""
        expression = self._attempt(node)
        return None if self.mistakes else expression

    def value(self, node: ast.expr) -> Expression:
        """Return the expression of a value.

        Raises:
            ConditionError: It is none.
        """
        return self._fixed(node).expression

    def _attempt(self, node: ast.expr) -> Expression | None:
        try:
            return self._truth(node)
        except ConditionError as error:
            self.mistakes.append(error)
            return None

    def _truth(self, node: ast.expr) -> Expression:
        """Return what is true, false or unknown; anything else cannot stand alone."""
        match node:
            case ast.BoolOp():
                parts = [self._attempt(part) for part in node.values]
                known = tuple(part for part in parts if part is not None)
                return Junction("and" if isinstance(node.op, ast.And) else "or", known)
            case ast.UnaryOp(op=ast.Not()):
                return Negation(self._truth(node.operand))
            case ast.Compare():
                return self._chain(node)
        operand = self._operand(node)
        if isinstance(operand, Loose) or operand.kind is not Kind.BOOL:
            kind = "text" if isinstance(operand, Loose) else KIND_NAMES[operand.kind]
            raise self._wrong(node, f"{self._quote(node)} is {kind}, wanted a comparison")
        self._check_varies(node, operand.expression)
        return operand.expression

    # Comparisons ---------------------------------------------------------------------------

    def _chain(self, node: ast.Compare) -> Expression:
        pairs = zip([node.left, *node.comparators], node.ops, node.comparators, strict=False)
        parts = tuple(self._pair(left, op, right) for left, op, right in pairs)
        return parts[0] if len(parts) == 1 else Junction("and", parts)

    def _pair(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Expression:
        match op:
            case ast.Is() | ast.IsNot():
                return self._is_none(left, right, negated=isinstance(op, ast.IsNot))
            case ast.In() | ast.NotIn():
                return self._among(left, right, negated=isinstance(op, ast.NotIn))
        return self._compare(left, _COMPARE[type(op)], right)

    def _is_none(self, left: ast.expr, right: ast.expr, *, negated: bool) -> Expression:
        if not (isinstance(right, ast.Constant) and right.value is None):
            raise self._wrong(right, "'is' asks for None only", "did you mean '=='?")
        item = self._fixed(left)
        self._check_varies(left, item.expression)
        return Unknown(item.expression, negated)

    def _compare(self, left: ast.expr, op: str, right: ast.expr) -> Expression:
        for side in (left, right):
            if isinstance(side, ast.Constant) and side.value is None:
                raise self._wrong(
                    side, f"'{op} None' is always unknown", "write 'is None' or 'is not None'"
                )
        first, second = self._meet(self._operand(left), self._operand(right))
        self._check_comparable(first, op, second)
        comparison = Compare(op, first.expression, second.expression)  # type: ignore[arg-type]  # the values of _COMPARE
        self._check_varies(left, comparison)
        if first.expression == second.expression and not self.mistakes:
            raise self._wrong(right, f"{self._quote(right)} is compared with itself")
        return comparison

    def _check_comparable(self, first: Operand, op: str, second: Operand) -> None:
        kinds = (first.kind, second.kind)
        if kinds[0] is not kinds[1] and not _NUMBERS.issuperset(kinds):
            raise self._unlike(first, second)
        if op not in ("==", "!=") and kinds[0] not in _ORDERED:
            hint = "use '==' or '!='"
            what = f"{self._quote(first.node)} is {KIND_NAMES[kinds[0]]} and has no order"
            raise self._wrong(second.node, what, hint)
        if first.spec is None or second.spec is None:
            return
        if first.spec.pseudonym != second.spec.pseudonym:
            raise self._wrong(
                second.node,
                f"a pseudonym of {first.spec.pseudonym} never equals one of "
                f"{second.spec.pseudonym}",
            )
        if kinds[0] is Kind.CLASS and not set(first.spec.classes) & set(second.spec.classes):
            names = f"{first.spec.name} and {second.spec.name}"
            raise self._wrong(second.node, f"{names} have no value in common")

    def _unlike(self, first: Operand, second: Operand) -> ConditionError:
        left, right = self._quote(first.node), self._quote(second.node)
        message = (
            f"{left} is {KIND_NAMES[first.kind]}, {right} is {KIND_NAMES[second.kind]}: "
            "they cannot be compared"
        )
        kinds = {first.kind, second.kind}
        hint = None
        if Kind.MONEY in kinds and kinds & _NUMBERS:
            hint = 'write an amount and its currency, such as "3000 CNY"'
        elif Kind.DURATION in kinds and kinds & _NUMBERS:
            hint = 'write a duration, such as "90s"'
        return self._wrong(second.node, message, hint)

    def _among(self, left: ast.expr, right: ast.expr, *, negated: bool) -> Expression:
        item = self._fixed(left)
        self._check_varies(left, item.expression)
        if not isinstance(right, ast.Tuple):
            hint = 'write ("a", "b"), or "==" for a single value'
            raise self._wrong(right, "'in' wants a tuple of values", hint)
        if not right.elts:
            raise self._wrong(right, "nothing is in an empty tuple")
        choices = [self._choice(item, node) for node in right.elts]
        if item.kind is Kind.MONEY:
            # Of another currency is unknown, not different: so it is asked one by one.
            parts = tuple(Compare("==", item.expression, choice) for choice in choices)
            either = Junction("or", parts) if len(parts) > 1 else parts[0]
            return Negation(either) if negated else either
        return Among(item.expression, tuple(choice.value for choice in choices), negated)

    def _choice(self, item: Operand, node: ast.expr) -> Constant:
        operand = self._operand(node) if _is_literal(node) else None
        if operand is None:
            raise self._wrong(node, "a tuple after 'in' holds values only, no names")
        _, choice = self._meet(item, operand)
        self._check_comparable(item, "==", choice)
        assert isinstance(choice.expression, Constant), "a literal is read as a constant"
        return choice.expression

    # Values --------------------------------------------------------------------------------

    def _operand(self, node: ast.expr) -> Operand | Loose:
        match node:
            case ast.Name():
                return self._name(node)
            case ast.Attribute():
                return self._attribute(node)
            case ast.Constant():
                return self._constant(node)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
                return Operand(node, self._number(node.operand, sign=-1))
            case ast.BinOp():
                return self._arithmetic(node)
            case ast.Call():
                return self._call(node)
            case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                return Operand(node, self._truth(node))
        raise self._wrong(node, f"{self._quote(node)} is not allowed here")

    def _fixed(self, node: ast.expr) -> Operand:
        """Return an operand that has a kind by itself."""
        return self._known(self._operand(node))

    def _known(self, operand: Operand | Loose) -> Operand:
        if isinstance(operand, Loose):
            what = f"{self._quote(operand.node)} meets nothing that says what it is"
            raise self._wrong(operand.node, what)
        return operand

    def _name(self, node: ast.Name) -> Operand | Loose:
        name, scope = node.id, self._scope
        spec = scope.own.fields.get(name) if scope.own is not None else None
        if spec is not None:
            self.own_names.add(node.col_offset)
            return Operand(node, Field(scope.step, name, spec.kind, spec.open), spec)
        if name in scope.parameters:
            return self._parameter(node, scope.parameters[name])
        if name in scope.steps:
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
        if scope.own is None:
            names = {*scope.parameters, *scope.steps}
            hint = suggestion(node.id, names, "steps and parameters")
            return self._wrong(node, f"unknown name {quoted(node.id)} in a message", hint)
        hint = suggestion(node.id, scope.own.fields, "fields", scope.parameters)
        what = f"unknown name {quoted(node.id)} in a condition on {scope.own.name}"
        return self._wrong(node, what, hint)

    def _attribute(self, node: ast.Attribute) -> Operand:
        step = self._step(node.value)
        if step == self._scope.step:
            raise self._wrong(
                node, f"'{step}' is this step itself", f"write '{node.attr}' alone"
            )
        event = self._scope.steps[step]
        if event is None:
            raise UnjudgedError(node.col_offset, "")
        spec = event.fields.get(node.attr)
        if spec is None:
            hint = suggestion(node.attr, event.fields, "fields")
            message = f"unknown name {quoted(node.attr)} of step '{step}', a {event.name}"
            raise ConditionError(self._end(node) - len(node.attr), message, hint)
        return Operand(node, Field(step, node.attr, spec.kind, spec.open), spec)

    def _step(self, node: ast.expr) -> str:
        """Return the name of a step that stands here."""
        if not isinstance(node, ast.Name):
            raise self._wrong(node, f"{self._quote(node)} stands where a step's name is wanted")
        scope = self._scope
        if node.id in scope.later:
            what = f"step '{node.id}' comes later, a condition names earlier steps only"
            raise self._wrong(node, what)
        if node.id != scope.step and node.id not in scope.steps:
            hint = suggestion(node.id, scope.steps, "steps")
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

    def _arithmetic(self, node: ast.BinOp) -> Operand:
        op = _ARITHMETIC[type(node.op)]
        first, second = self._operand(node.left), self._operand(node.right)
        if op in "+-":
            first, second = self._meet(first, second)
        left, right = self._known(first), self._known(second)
        kind = _kind_of(op, left.kind, right.kind)
        if kind is None:
            what = f"'{op}' does not go between {KIND_NAMES[left.kind]} and {KIND_NAMES[right.kind]}"
            raise ConditionError(self.offset(node.col_offset), what, _ARITHMETIC_HINT)
        return Operand(node, Arithmetic(op, left.expression, right.expression, kind))  # type: ignore[arg-type]  # the values of _ARITHMETIC

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

    # Functions -----------------------------------------------------------------------------

    def _call(self, node: ast.Call) -> Operand:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        function = _FUNCTIONS.get(name)
        if function is None:
            hint = suggestion(name, _FUNCTIONS, "functions")
            raise self._wrong(node, f"unknown function {self._quote(node.func)}", hint)
        count, build = function
        if len(node.args) != count:
            what = f"{name}() takes {count} argument{'s' * (count > 1)}, found {len(node.args)}"
            raise self._wrong(node, what)
        return Operand(node, build(self, name, node.args))

    def argument(self, node: ast.expr, kind: Kind) -> Expression:
        """Return an argument of a function, which must be of this kind."""
        operand = self._operand(node)
        if isinstance(operand, Loose):
            operand = self._read(operand, kind)
        if operand.kind is not kind:
            what = f"{self._quote(node)} is {KIND_NAMES[operand.kind]}, wanted {KIND_NAMES[kind]}"
            raise self._wrong(node, what)
        return operand.expression

    def clock(self, name: str, nodes: list[ast.expr]) -> Expression:
        """Return `hour(moment)` or `weekday(moment)`."""
        moment = self.argument(nodes[0], Kind.MOMENT)
        return Call(name, (moment,), Kind.INTEGER, self._scope.timezone)  # type: ignore[arg-type]  # hour or weekday

    def gap(self, _: str, nodes: list[ast.expr]) -> Expression:
        """Return `gap(step, step)`."""
        first, second = self._step(nodes[0]), self._step(nodes[1])
        if first == second:
            raise self._wrong(nodes[1], "the gap of an event to itself is always zero")
        return Gap(first, second)

    def starts_with(self, _: str, nodes: list[ast.expr]) -> Expression:
        """Return `startswith(text, "…")`."""
        text = self.argument(nodes[0], Kind.TEXT)
        prefix = self._operand(nodes[1])
        if not isinstance(prefix, Loose):
            raise self._wrong(nodes[1], "startswith() wants a text in quotes after the comma")
        return Call("startswith", (text, self._read(prefix, Kind.TEXT).expression), Kind.BOOL)

    def of_money(self, name: str, nodes: list[ast.expr]) -> Expression:
        """Return `ratio(money, money)` or `number(money)`."""
        amounts = tuple(self.argument(node, Kind.MONEY) for node in nodes)
        return Call(name, amounts, Kind.NUMBER)  # type: ignore[arg-type]  # ratio or number

    # Texts of mistakes ---------------------------------------------------------------------

    def _check_varies(self, node: ast.expr, expression: Expression) -> None:
        # With a mistake inside it, an expression has lost parts.
        if not self.mistakes and not any(isinstance(part, Field | Gap) for part in walk(expression)):
            hint = "a condition looks at a field of some step"
            raise self._wrong(node, "this is the same for every event", hint)

    def _wrong(self, node: ast.expr, message: str, hint: str | None = None) -> ConditionError:
        return ConditionError(self.offset(node.col_offset), message, hint)

    def _end(self, node: ast.expr) -> int:
        return self.offset(node.end_col_offset or node.col_offset)

    def _source(self, node: ast.expr) -> str:
        return self._text[self.offset(node.col_offset) : self._end(node)]

    def _quote(self, node: ast.expr) -> str:
        return quoted(self._source(node))


_Builder = Callable[[Typist, str, list[ast.expr]], Expression]
_FUNCTIONS: Mapping[str, tuple[int, _Builder]] = {
    "gap": (2, Typist.gap),
    "hour": (1, Typist.clock),
    "number": (1, Typist.of_money),
    "ratio": (2, Typist.of_money),
    "startswith": (2, Typist.starts_with),
    "weekday": (1, Typist.clock),
}


def _is_literal(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant)


def _kind_of(op: str, left: Kind, right: Kind) -> Kind | None:
    """Return the kind of `left op right`, or None if these do not go together."""
    if {left, right} <= _NUMBERS:
        whole = op != "/" and left is right is Kind.INTEGER
        return Kind.INTEGER if whole else Kind.NUMBER
    if op in "+-" and left is right and left in _AMOUNTS:
        return left
    if op in "*/" and left in _AMOUNTS and right in _NUMBERS:
        return left
    if op == "*" and left in _NUMBERS and right in _AMOUNTS:
        return right
    if op == "-" and left is right is Kind.MOMENT:
        return Kind.DURATION
    return None
