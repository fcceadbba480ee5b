"""Python's syntax tree of a condition, typed against the contract, as nodes of a condition.

Every operator and function says which kinds it takes; what is not named here is refused.
"""

import ast
from collections.abc import Callable, Mapping

from rules.condition import (
    Aggregate,
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
    Unknown,
    walk,
)
from rules.events import Kind
from rules.language.literals import KIND_NAMES
from rules.language.mistakes import sole, suggestion
from rules.language.names import Loose, Names, Operand
from rules.language.tokens import ConditionError

_NUMBERS = frozenset({Kind.INTEGER, Kind.NUMBER})
_AMOUNTS = frozenset({Kind.MONEY, Kind.DURATION})
_ORDERED = frozenset({*_NUMBERS, *_AMOUNTS, Kind.MOMENT, Kind.TEXT})
_AGGREGATED: Mapping[str, frozenset[Kind]] = {
    "count": frozenset(Kind),
    "sum": frozenset({*_NUMBERS, *_AMOUNTS}),
    "least": frozenset({*_NUMBERS, *_AMOUNTS, Kind.MOMENT}),
    "greatest": frozenset({*_NUMBERS, *_AMOUNTS, Kind.MOMENT}),
}
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


class Typist(Names):
    """Types one syntax tree; mistakes that do not hinder each other are all noted."""

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
            case ast.Name() | ast.Attribute() | ast.Constant():
                return self._look_up(node)
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

    def _arithmetic(self, node: ast.BinOp) -> Operand:
        op = _ARITHMETIC[type(node.op)]
        first, second = self._operand(node.left), self._operand(node.right)
        if op in "+-":
            first, second = self._meet(first, second)
        left, right = self._known(first), self._known(second)
        kind = _kind_of(op, left.kind, right.kind)
        if kind is None:
            what = (
                f"'{op}' does not go between {KIND_NAMES[left.kind]} and {KIND_NAMES[right.kind]}"
            )
            raise ConditionError(self.offset(node.col_offset), what, _ARITHMETIC_HINT)
        return Operand(node, Arithmetic(op, left.expression, right.expression, kind))  # type: ignore[arg-type]  # the values of _ARITHMETIC

    # Functions -----------------------------------------------------------------------------

    def _call(self, node: ast.Call) -> Operand:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        function = _FUNCTIONS.get(name)
        if function is None:
            hint = suggestion(name, _FUNCTIONS, "functions", sure=sole(name, _FUNCTIONS))
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
        first, second = self._single(nodes[0]), self._single(nodes[1])
        if first == second:
            raise self._wrong(nodes[1], "the gap of an event to itself is always zero")
        return Gap(first, second)

    def _single(self, node: ast.expr) -> str:
        step = self._step(node)
        if step not in self._scope.single:
            hint = "of sets, only the one that is the anchor stands for one event"
            raise self._wrong(node, f"'{step}' is a set, gap() wants two events", hint)
        return step

    def of_set(self, name: str, nodes: list[ast.expr]) -> Expression:
        """Return `count(set)`, or `count`, `sum`, `least` or `greatest` of a set's field."""
        node = nodes[0]
        if not self._scope.adds_up:
            raise self._wrong(node, f"{name}() stands under 'having' only")
        if name == "count" and isinstance(node, ast.Name):
            return Aggregate("count", self._set(node), None, Kind.INTEGER)
        if not isinstance(node, ast.Attribute):
            raise self._wrong(node, f"{name}() wants a field of a set, such as {name}(x.amount)")
        step = self._set(node.value)
        spec = self._field(node, step, self._scope.sets[step])
        if spec.kind not in _AGGREGATED[name]:
            what = f"{self._quote(node)} is {KIND_NAMES[spec.kind]}, {name}() does not go with it"
            raise self._wrong(node, what)
        kind = Kind.INTEGER if name == "count" else spec.kind
        return Aggregate(name, step, Field(step, node.attr, spec.kind, spec.open), kind)  # type: ignore[arg-type]  # one of the four

    def _set(self, node: ast.expr) -> str:
        step = self._step(node)
        if step not in self._scope.sets:
            hint = suggestion(step, self._scope.sets, "sets")
            raise self._wrong(node, f"'{step}' binds one event, wanted a set", hint)
        return step

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

    def _check_varies(self, node: ast.expr, expression: Expression) -> None:
        # With a mistake inside it, an expression has lost parts.
        if not self.mistakes and not any(
            isinstance(part, Aggregate | Field | Gap) for part in walk(expression)
        ):
            hint = "a condition looks at a field of some step"
            raise self._wrong(node, "this is the same for every event", hint)


_Builder = Callable[[Typist, str, list[ast.expr]], Expression]
_FUNCTIONS: Mapping[str, tuple[int, _Builder]] = {
    "count": (1, Typist.of_set),
    "gap": (2, Typist.gap),
    "greatest": (1, Typist.of_set),
    "hour": (1, Typist.clock),
    "least": (1, Typist.of_set),
    "number": (1, Typist.of_money),
    "ratio": (2, Typist.of_money),
    "startswith": (2, Typist.starts_with),
    "sum": (1, Typist.of_set),
    "weekday": (1, Typist.clock),
}

FUNCTION_NAMES = frozenset(_FUNCTIONS)
"""The functions that conditions may call."""


def _is_literal(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant)


def _kind_of(op: str, left: Kind, right: Kind) -> Kind | None:
    """Return the kind of `left op right`, or None if these do not go together."""
    if {left, right} <= _NUMBERS:
        whole = op != "/" and left is right is Kind.INTEGER
        return Kind.INTEGER if whole else Kind.NUMBER
    if op == "-" and left is right is Kind.MOMENT:
        return Kind.DURATION
    amount, other = (left, right) if left in _AMOUNTS else (right, left)
    of_amounts = op in "+-" and amount is other
    by_number = op == "*" or (op == "/" and amount is left)
    if amount in _AMOUNTS and (of_amounts or (by_number and other in _NUMBERS)):
        return amount
    return None
