"""Conditions on one event as SQL over the columns of a Parquet log.

SQL has Kleene's three values, so most conditions translate word for word. What does not translate
is NULL. A screen asks whether an event could ever fulfil a condition: open fields are undetermined
there, which drops nothing. How an event stands now is asked with `as_it_stands`.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from rules.condition import (
    Among,
    Call,
    Compare,
    Constant,
    Expression,
    Field,
    Junction,
    Negation,
    Parameter,
    Thresholds,
    Unknown,
)
from rules.events import EventSpec, Kind, Value
from rules.money import Money, format_amount
from rules.screen import ScreenEmitter
from streams.parquet.log import Column, quoted

NULL: Final = "NULL"

_OPERATORS: Final = {"==": "=", "!=": "<>"}
_TURNED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_DECIMALS: Final = 6
_DERIVED: Final = {
    "payee_is_new": "CASE WHEN {payee_times_paid} IS NOT NULL THEN {payee_times_paid} = 0"
    " ELSE {payee_first_paid_at} >= {initiated_at} END",
    "answered": "{answered_at} IS NOT NULL",
    "talk_time": "{ended_at} - {answered_at}",
}
"""The derived fields that translate; any other one is undetermined."""


class Terms(ScreenEmitter):
    """Turns conditions on events of one type into SQL."""

    def __init__(
        self, spec: EventSpec, columns: Mapping[str, Column], *, as_it_stands: bool = False
    ) -> None:
        super().__init__(lambda field: field.name)
        self._spec = spec
        self._columns = columns
        self._as_it_stands = as_it_stands

    def passes(self, node: Expression) -> str:
        """Return SQL that is true unless an expression is known to be false."""
        truth = self._truth(node)
        return "true" if truth == NULL else f"coalesce({truth}, true)"

    def truth(self, node: Expression) -> str:
        """Return SQL that is true, false or unknown as an expression is; NULL if it has none."""
        match node:
            case Junction():
                translates = all(self.truth(part) != NULL for part in node.parts)
            case Negation():
                translates = self.truth(node.part) != NULL
            case _:
                translates = True
        return self._truth(node) if translates else NULL

    def _truth(self, node: Expression) -> str:
        match node:
            case Junction():
                return f"({f' {node.op} '.join(self._truth(part) for part in node.parts)})"
            case Negation():
                return f"(NOT {self._truth(node.part)})"
            case Compare():
                return self._compare(node)
            case Among() | Unknown():
                return self._of_item(node)
        return self._value(node)

    def _compare(self, node: Compare) -> str:
        left, right = node.left, node.right
        op: str = node.op
        if isinstance(right, Field) and not isinstance(left, Field):
            left, right, op = right, left, _TURNED.get(op, op)
        if Kind.MONEY in (left.kind, right.kind):
            return self._compare_money(op, left, right)
        if op not in _OPERATORS and left.kind in (Kind.TEXT, Kind.CLASS):
            return NULL
        values = self._value(left), self._value(right)
        return NULL if NULL in values else f"({values[0]} {_OPERATORS.get(op, op)} {values[1]})"

    def _compare_money(self, op: str, left: Expression, right: Expression) -> str:
        """Compare an amount with what stands in the rule: of other currencies nothing is known."""
        if not isinstance(left, Field) or not isinstance(right, Constant | Parameter):
            return NULL
        amount, limits = self._value(left), _thresholds(right.value)
        name = self._spec.fields[left.name].currency
        currency = NULL if name is None else self._column(name, Kind.TEXT)
        if NULL in (amount, currency) or any(_decimals(a) > _DECIMALS for a in limits.values()):
            return NULL
        cases = " ".join(
            f"WHEN {quoted(code)} THEN {amount} {_OPERATORS.get(op, op)} {format_amount(limit)}"
            for code, limit in limits.items()
        )
        return f"(CASE {currency} {cases} END)"

    def _of_item(self, node: Among | Unknown) -> str:
        negated = "NOT " if node.negated else ""
        if isinstance(node, Unknown):
            # A field without a column is unknown in all records; what is undetermined is not.
            field = node.item
            if not isinstance(field, Field) or self._is_undetermined(field):
                return NULL
            name = field.name
            if self._spec.fields[name].derived:
                value = self._value(field) if self._as_it_stands else NULL
                return NULL if value == NULL else f"({value} IS {negated}NULL)"
            return (
                f"({self._columns[name].sql if name in self._columns else NULL} IS {negated}NULL)"
            )
        item = self._value(node.item)
        choices = [_literal(choice, node.item.kind) for choice in node.choices]
        return NULL if NULL in (item, *choices) else f"({item} {negated}IN ({', '.join(choices)}))"

    def _value(self, node: Expression) -> str:
        if isinstance(node, Constant | Parameter):
            return _literal(node.value, node.kind)
        if isinstance(node, Call) and node.function == "number":
            (node,) = node.arguments
        if not isinstance(node, Field) or self._is_undetermined(node):
            return NULL
        spec = self._spec.fields[node.name]
        if not spec.derived:
            return self._column(node.name, spec.kind)
        needs = {need: self._column(need, self._spec.fields[need].kind) for need in spec.needs}
        return f"({_DERIVED[node.name].format(**needs)})" if node.name in _DERIVED else NULL

    def _is_undetermined(self, field: Field) -> bool:
        # Identifiers are compared, and callers withheld, as pseudonyms: not here.
        is_hidden = field.kind is Kind.PSEUDONYM
        return is_hidden if self._as_it_stands else super().emit(field) == "None"

    def _column(self, name: str, kind: Kind) -> str:
        """Return SQL for a field's value as it is compared; NULL where that is not plain."""
        column = self._columns.get(name)
        if column is None or not column.holds(kind):
            return NULL
        return f"epoch_us({column.sql})" if kind is Kind.MOMENT else column.sql


def _thresholds(value: Value | Thresholds) -> Thresholds:
    if isinstance(value, Money):
        return {value.currency: value.amount}
    assert isinstance(value, Mapping), "what an amount is compared with is one, or several"
    return value


def _decimals(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    assert isinstance(exponent, int), "an amount is a number"
    return -exponent


def _literal(value: Value | Thresholds, kind: Kind) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and kind in (Kind.TEXT, Kind.CLASS):
        return quoted(value)
    if isinstance(value, Decimal):
        return f"{value:f}" if _decimals(value) <= _DECIMALS else NULL
    return str(value) if isinstance(value, int) else NULL
