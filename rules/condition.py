"""A checked condition: a typed expression, what it looks at, and how it is evaluated.

Expressions are built by `rules.language` only, out of nodes whose types have been checked; here
they become code objects. Every value may be unknown, which is `None`: a comparison with an
unknown operand is unknown, `and`, `or` and `not` follow Kleene, and only true satisfies.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType
from typing import Any, Literal
from zoneinfo import ZoneInfo

from rules.events import Kind, Value
from rules.operators import FUNCTIONS, Thresholds, aggregate, gap_us

__all__ = [
    "Access",
    "Aggregate",
    "Among",
    "Arithmetic",
    "Call",
    "Compare",
    "Condition",
    "Constant",
    "Emitter",
    "Expression",
    "Field",
    "Gap",
    "Junction",
    "Negation",
    "Parameter",
    "Read",
    "Thresholds",
    "Unknown",
    "compile_expression",
    "gap_us",
    "walk",
]


@dataclass(frozen=True, slots=True)
class Constant:
    """A value written in the rule; `kind` is what it is compared as."""

    value: Value
    kind: Kind


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the rule, by name, with its effective value."""

    name: str
    value: Value | Thresholds
    kind: Kind


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the event that a step binds; `open` if records of one event may differ in it."""

    step: str
    name: str
    kind: Kind
    open: bool


@dataclass(frozen=True, slots=True)
class Compare:
    """`left op right`, of one kind on both sides."""

    op: Literal["==", "!=", "<", "<=", ">", ">="]
    left: "Expression"
    right: "Expression"
    kind: Kind = Kind.BOOL


@dataclass(frozen=True, slots=True)
class Among:
    """`item in (…)`, or `not in`; the choices are of the item's kind and known."""

    item: "Expression"
    choices: tuple[Value, ...]
    negated: bool
    kind: Kind = Kind.BOOL


@dataclass(frozen=True, slots=True)
class Unknown:
    """`item is None`, or `is not None`: the one question whose answer is always known."""

    item: "Expression"
    negated: bool
    kind: Kind = Kind.BOOL


@dataclass(frozen=True, slots=True)
class Junction:
    """`and` or `or` of two or more parts."""

    op: Literal["and", "or"]
    parts: tuple["Expression", ...]
    kind: Kind = Kind.BOOL


@dataclass(frozen=True, slots=True)
class Negation:
    """`not part`."""

    part: "Expression"
    kind: Kind = Kind.BOOL


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`left op right`; `kind` is the kind of the result."""

    op: Literal["+", "-", "*", "/", "%"]
    left: "Expression"
    right: "Expression"
    kind: Kind


@dataclass(frozen=True, slots=True)
class Call:
    """A function of values: hour, weekday (with `timezone`), startswith, ratio, number."""

    function: Literal["hour", "weekday", "startswith", "ratio", "number"]
    arguments: tuple["Expression", ...]
    kind: Kind
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Gap:
    """`gap(a, b)` of the events of two steps: a duration in microseconds."""

    first: str
    second: str
    kind: Kind = Kind.DURATION


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A number over the events of a set: `count(x)`, or one of its fields' known values.

    `count` of a field counts distinct values; `sum`, `least` and `greatest` of money are one
    amount per currency. Over no known value the result is unknown; `count(x)` is always known.
    """

    function: Literal["count", "sum", "least", "greatest"]
    step: str
    field: Field | None
    kind: Kind


Expression = (
    Aggregate
    | Constant
    | Parameter
    | Field
    | Compare
    | Among
    | Unknown
    | Junction
    | Negation
    | Arithmetic
    | Call
    | Gap
)


Read = Field | Parameter | Aggregate | Gap
"""What a condition looks at and an alert shows the value of."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One line under `where` or `having`, checked.

    `text` is as written, with own fields as `step.field`; `reads` is what it looks at, in the
    order of the text; `steps` are the steps that it names.
    """

    text: str
    expression: Expression
    reads: tuple[Read, ...] = field(init=False)
    steps: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        nodes = tuple(walk(self.expression))
        named = {n.step for n in nodes if isinstance(n, Field | Aggregate)}
        for node in nodes:
            if isinstance(node, Gap):
                named |= {node.first, node.second}
        object.__setattr__(self, "reads", _reads(nodes))
        object.__setattr__(self, "steps", frozenset(named))


def _reads(nodes: tuple[Expression, ...]) -> tuple[Read, ...]:
    seen: dict[object, Read] = {}
    for node in nodes:
        if isinstance(node, Parameter):
            # By name: one of several currencies cannot be hashed.
            seen.setdefault(node.name, node)
        elif isinstance(node, Field | Aggregate | Gap):
            seen.setdefault(node, node)
    return tuple(seen.values())


def walk(expression: Expression) -> Iterator[Expression]:
    """Yield the expression and all its parts, from left to right as written."""
    yield expression
    for part in _parts(expression):
        yield from walk(part)


def _parts(expression: Expression) -> tuple[Expression, ...]:
    match expression:
        case Compare() | Arithmetic():
            return (expression.left, expression.right)
        case Among() | Unknown():
            return (expression.item,)
        case Junction():
            return expression.parts
        case Negation():
            return (expression.part,)
        case Call():
            return expression.arguments
        case _:
            return ()


Access = Callable[[Field], str]
"""Says how a field is read: Python source for its value or None, given the lambda's argument."""


def compile_expression(
    expression: Expression,
    access: Access,
    event: Callable[[str], str] = str,
    members: Callable[[str], str] = str,
) -> Callable[[Any], Any]:
    """Compile to a function of one argument, `b`; the others say how that is read.

    `access` gives the source of a field's value or None, `event` of the event that a step binds,
    which only `Gap` needs, `members` of the events of a set, which only `Aggregate` needs.
    """
    emitter = Emitter(access, event, members)
    return emitter.compile(emitter.emit(expression))


# Rules that differ in parameters only have the same sources.
@lru_cache(4_096)
def _code(source: str) -> CodeType:
    return compile(f"lambda b: {source}", "<condition>", "eval")


class Emitter:
    """Turns nodes into the source of one Python expression that gives a value or None."""

    def __init__(
        self,
        access: Access,
        event: Callable[[str], str] = str,
        members: Callable[[str], str] = str,
    ) -> None:
        self._access = access
        self._event = event
        self._members = members
        self._temporaries = 0
        self.namespace: dict[str, Any] = {"__builtins__": {}, "functions": FUNCTIONS}

    def compile(self, source: str) -> Callable[[Any], Any]:
        """Compile emitted source to a function of `b`."""
        # Names and values of the rule reach the code through the namespace alone.
        return eval(_code(source), self.namespace)  # type: ignore[no-any-return]  # noqa: S307 - see above

    def emit(self, node: Expression) -> str:
        """Return the source of an expression over `b` that gives its value, or None."""
        match node:
            case Constant() | Parameter():
                return self._bind(node.value)
            case Field():
                return self._access(node)
            case Aggregate() | Gap():
                return self._emit_of_events(node)
            case Arithmetic():
                return self._call(f"arithmetic {node.op}", node.left, node.right)
            case Call():
                return self._call(node.function, *node.arguments, timezone=node.timezone)
        return self._emit_truth(node)

    def _emit_of_events(self, node: Aggregate | Gap) -> str:
        if isinstance(node, Gap):
            first, second = self._event(node.first), self._event(node.second)
            return f"{self._bind(gap_us)}({first}, {second})"
        field = None if node.field is None else node.field.name
        compute = self._bind(aggregate(node.function))
        return f"{compute}({self._members(node.step)}, {field!r})"

    def _emit_truth(self, node: Compare | Among | Unknown | Junction | Negation) -> str:
        match node:
            case Compare():
                return self._compare(node)
            case Among():
                op = "not in" if node.negated else "in"
                return self._unless_unknown(node.item, op, self._bind(frozenset(node.choices)))
            case Unknown():
                return f"({self.emit(node.item)} is {'not ' if node.negated else ''}None)"
            case Negation():
                return self._unless_unknown(node.part, "is", "False")
        return self._junction(node)

    def _unless_unknown(self, part: Expression, op: str, right: str) -> str:
        name = self._temporary()
        return f"(None if ({name} := {self.emit(part)}) is None else {name} {op} {right})"

    def _compare(self, node: Compare) -> str:
        if Kind.MONEY in (node.left.kind, node.right.kind):
            return self._call(f"money {node.op}", node.left, node.right)
        left, right = self._temporary(), self._temporary()
        return (
            f"(None if ({left} := {self.emit(node.left)}) is None"
            f" or ({right} := {self.emit(node.right)}) is None else {left} {node.op} {right})"
        )

    def _junction(self, node: Junction) -> str:
        settled = "False" if node.op == "and" else "True"
        names = [self._temporary() for _ in node.parts]
        tests = " ".join(
            f"{settled} if ({name} := {self.emit(part)}) is {settled} else"
            for name, part in zip(names, node.parts, strict=True)
        )
        unknown = " or ".join(f"{name} is None" for name in names)
        return f"({tests} None if {unknown} else {'True' if node.op == 'and' else 'False'})"

    def _call(self, function: str, *arguments: Expression, timezone: str | None = None) -> str:
        values = [self.emit(a) for a in arguments]
        if function in ("hour", "weekday"):
            values.append(self._bind(ZoneInfo(timezone or "UTC")))
        return f"functions[{function!r}]({', '.join(values)})"

    def _bind(self, value: object) -> str:
        name = f"c{len(self.namespace)}"
        self.namespace[name] = value
        return name

    def _temporary(self) -> str:
        self._temporaries += 1
        return f"t{self._temporaries}"
