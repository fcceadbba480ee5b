"""A parameter at several values, one after the other, and what each is worth."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from rules.authoring.backtest import Result, figure
from rules.authoring.line_chart import Points, line_chart
from rules.events import Kind
from rules.language.check import CheckedRule
from rules.language.literals import Param
from rules.language.mistakes import Place, quoted, suggestion
from rules.language.overrides import Overrides, Values
from rules.language.read import Items, Leaf, Node
from rules.moment import MINUTE_US, format_duration, parse_duration
from rules.money import format_amount

_MOST: Final = 100
_BAR: Final = 30
_FORM: Final = re.compile(
    r"(?:(?P<rule>[a-z][a-z0-9_]*)\.)?(?P<param>[a-z][a-z0-9_]*)(?:\.(?P<currency>[A-Z]{3}))?"
    r"=(?P<first>[^:=]+?)\.\.(?P<last>[^:=]+?):(?P<step>[^:=]+)"
)
_NUMBER: Final = re.compile(r"\d{1,15}(\.\d{1,6})?", re.ASCII)
_WANTED: Final = "wanted a form like min_amount=1000..10000:1000 or my_rule.after_call=1h..4h:30m"


class SweepError(ValueError):
    """A sweep that cannot be made: what was found and what was wanted."""


@dataclass(frozen=True)
class Sweep:
    """The values of one parameter of one rule, in ascending order; of money in one currency."""

    rule: str
    param: Param
    currency: str | None
    values: Sequence[Decimal]

    @property
    def name(self) -> str:
        """The parameter, with its rule and the currency that is varied."""
        currency = f".{self.currency}" if self.currency else ""
        return f"{self.rule}.{self.param.name}{currency}"

    def told(self, value: Decimal) -> str:
        """Return one of the values as the rule's author would write it."""
        if self.param.kind is Kind.DURATION:
            return format_duration(int(value))
        return f"{format_amount(value)} {self.currency}" if self.currency else f"{value:f}"

    def overrides(self, value: Decimal, given: Overrides | None) -> Overrides:
        """Return what sets the parameter to a value; all else as it was set from outside."""
        at = Place(1, 1)
        node: Node = self._leaf(self.told(value))
        if isinstance(self.param.value, Mapping):
            amounts = {n: value if n == self.currency else a for n, a in self.param.value.items()}
            texts = [f"{format_amount(amount)} {name}" for name, amount in amounts.items()]
            node = Items(at, tuple(map(self._leaf, texts)))
        before = {} if given is None else given.rules
        own: Values = {} if given is None else given.of(self.rule)
        name = self._leaf(self.param.name)
        values = {**own, self.param.name: (name, node)}
        return Overrides("--sweep", {**before, self.rule: (self._leaf(self.rule), values)})

    def _leaf(self, text: str) -> Leaf:
        kind = "text"
        if self.param.kind in (Kind.INTEGER, Kind.NUMBER) and _NUMBER.fullmatch(text):
            kind = "number" if "." in text else "integer"
        return Leaf(Place(1, 1), text, kind, text, in_flow=False)  # type: ignore[arg-type]


def read_sweep(text: str, rules: Sequence[CheckedRule]) -> Sweep:
    """Return what a text like `min_amount=1000..10000:1000` asks of these rules.

    Raises:
        SweepError: It has another form, or there is no such parameter or no such value of it.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise SweepError(f"found {quoted(text)}, {_WANTED}")
    rule = _rule(match["rule"], match["param"], rules)
    param = rule.parameters[match["param"]]
    currency = _currency(param, match["currency"])
    bounds = [_read(match[name], param, currency) for name in ("first", "last", "step")]
    return Sweep(rule.id, param, currency, _values(*bounds))


def _rule(name: str | None, param: str, rules: Sequence[CheckedRule]) -> CheckedRule:
    if name is not None and name not in {rule.id for rule in rules}:
        hint = suggestion(name, [rule.id for rule in rules], "rules")
        raise SweepError(f"there is no rule {quoted(name)}; {hint}")
    asked = [rule for rule in rules if name in (None, rule.id)]
    having = [rule for rule in asked if param in rule.parameters]
    if not having:
        hint = suggestion(param, {p for rule in asked for p in rule.parameters}, "parameters")
        raise SweepError(f"there is no parameter {quoted(param)}; {hint}")
    if len(having) > 1:
        named = ", ".join(f"{rule.id}.{param}" for rule in having)
        raise SweepError(f"several rules have a parameter {quoted(param)}, wanted one of {named}")
    return having[0]


def _currency(param: Param, named: str | None) -> str | None:
    """Return the currency that is varied: one must be named where a parameter has several."""
    if not isinstance(param.value, Mapping):
        if named is None:
            return None
        raise SweepError(f"parameter '{param.name}' is no money, so it has no {named}")
    if named is None and len(param.value) == 1:
        return next(iter(param.value))
    if named not in param.value:
        choices = ", ".join(f"{param.name}.{currency}" for currency in param.value)
        raise SweepError(f"which currency of '{param.name}' is to vary? wanted one of {choices}")
    return named


def _read(text: str, param: Param, currency: str | None) -> Decimal:
    bare = text.removesuffix(f" {currency}") if currency else text
    if param.kind is Kind.DURATION:
        try:
            return Decimal(parse_duration(text))
        except ValueError as error:
            raise SweepError(f"parameter '{param.name}' is a duration: {error}") from error
    if param.kind is Kind.TEXT:
        raise SweepError(f"parameter '{param.name}' is a text, and has no values in between")
    if not _NUMBER.fullmatch(bare) or (param.kind is Kind.INTEGER and "." in bare):
        raise SweepError(f"{quoted(text)} is no value of parameter '{param.name}'")
    return Decimal(bare)


def _values(first: Decimal, last: Decimal, step: Decimal) -> Sequence[Decimal]:
    if first > last or not step:
        raise SweepError("the first value is above the last, or the step is none")
    number = int((last - first) // step) + 1
    if number > _MOST:
        raise SweepError(f"these are {number:,} values, wanted at most {_MOST}")
    return [first + place * step for place in range(number)]


# In print ------------------------------------------------------------------------------------


def sweep_lines(sweep: Sweep, found: Sequence[Result]) -> Iterator[str]:
    """Yield a sweep as a chart of text: a bar for each value, as long as its alerts are many."""
    most = max(result.total.alerts for result in found)
    names = [sweep.told(value) for value in sweep.values]
    width = max(map(len, names))
    yield f"{sweep.name}"
    for name, result in zip(names, found, strict=True):
        bar = "█" * -(-result.total.alerts * _BAR // max(most, 1))
        shares = {"precision": result.precision, "recall": result.recall}
        told = [f"{what} {'unknown' if s is None else figure(s)}" for what, s in shares.items()]
        yield f"  {name:>{width}}  {bar:<{_BAR}}  {', '.join([str(result.total), *told])}"


def sweep_chart(sweep: Sweep, found: Sequence[Result]) -> str:
    """Return a sweep as an SVG chart: precision, recall and the number of alerts, in per cent."""
    most = max(result.total.alerts for result in found)
    shares: dict[str, list[float | None]] = {
        "precision": [result.precision for result in found],
        "recall": [result.recall for result in found],
        f"alerts (of {most:,})": [r.total.alerts / max(most, 1) for r in found],
    }
    unit = MINUTE_US if sweep.param.kind is Kind.DURATION else 1
    lines: dict[str, Points] = {}
    for name, values in shares.items():
        pairs = zip(sweep.values, values, strict=True)
        points = [(float(x / unit), 100 * y) for x, y in pairs if y is not None]
        if points:
            lines[name] = points
    of = " in minutes" if sweep.param.kind is Kind.DURATION else ""
    return line_chart(f"{sweep.name}", f"{sweep.param.name}{of}", "per cent", lines, "linear")
