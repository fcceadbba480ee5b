"""What the operators and functions of conditions do with values, any of which may be unknown.

Unknown is None. Money is one amount in its currency, or, where a parameter gives it, an amount
for each currency; of two amounts in different currencies nothing is known.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

from rules.money import Money
from rules.tally import Members, tally_of

Thresholds = Mapping[str, Decimal]
"""One amount per currency, as a parameter or a sum gives it; another currency is unknown."""

_Amount = Money | Thresholds
_Number = int | Decimal
_EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COMPARE: Final = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def gap_us(first: Any, second: Any) -> int:  # noqa: ANN401 - anything with a start and an end
    """Return the gap of two events: zero if they overlap, else from the end of the earlier on."""
    earlier, later = (first, second) if first.start_us <= second.start_us else (second, first)
    return max(0, int(later.start_us - earlier.end_us))


def _compare_money(op: str) -> Callable[[_Amount | None, _Amount | None], bool | None]:
    compare = _COMPARE[op]

    def judge(left: _Amount | None, right: _Amount | None) -> bool | None:
        if isinstance(left, Money) and not isinstance(right, Money):
            # The common case, written out: an amount and a threshold per currency.
            other = None if right is None else right.get(left.currency)
            return None if other is None else bool(compare(left.amount, other))
        found = {bool(compare(first, second)) for first, second, _ in _by_currency(left, right)}
        # True in one of the currencies is enough, else false in one.
        return True if True in found else False if found else None

    return judge


def _by_currency(
    left: _Amount | None, right: _Amount | None
) -> Iterator[tuple[Decimal, Decimal, str]]:
    """Yield the two amounts of each currency in which both are known."""
    if left is None or right is None:
        return
    first, second = _amounts(left), _amounts(right)
    for currency in first:
        if currency in second:
            yield first[currency], second[currency], currency


def _amounts(value: _Amount) -> Thresholds:
    return {value.currency: value.amount} if isinstance(value, Money) else value


def _in_one_currency(
    left: _Amount | None, right: _Amount | None
) -> tuple[Decimal, Decimal, str] | None:
    """Return the two amounts and their currency if they have exactly one in common."""
    common = list(_by_currency(left, right))
    return common[0] if len(common) == 1 else None


def _arithmetic(op: str) -> Callable[[Any, Any], Any]:
    def compute(left: Any, right: Any) -> Any:  # noqa: ANN401 - the language has checked the kinds
        if left is None or right is None:
            return None
        if isinstance(left, int | Decimal):
            if isinstance(right, int | Decimal):
                return _of_numbers(op, left, right)
            return _scaled(op, right, left)
        if isinstance(right, int | Decimal):
            return _scaled(op, left, right)
        return _of_amounts(op, left, right)

    return compute


def _of_numbers(op: str, left: _Number, right: _Number) -> _Number | None:
    if op in "/%" and right == 0:
        return None
    if op == "/":
        return Decimal(left) / Decimal(right)
    return _NUMERIC[op](left, right)


def _modulo(left: _Number, right: _Number) -> _Number:
    if isinstance(left, int) and isinstance(right, int):
        return left % right
    if left >= 0 and right > 0:
        try:
            return _EXACT.remainder(Decimal(left), Decimal(right))
        except DecimalException:
            # The quotient has more digits than any amount: the slow way has room for it.
            pass
    # Of Decimals, Python's % takes the sign of the dividend; of integers, that of the divisor.
    rest = Fraction(left) % Fraction(right)
    return Decimal(rest.numerator) / Decimal(rest.denominator)


_NUMERIC: Final[Mapping[str, Callable[[Any, Any], _Number]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "%": _modulo,
}


def _scaled(op: str, amount: _Amount, factor: _Number) -> _Amount | None:
    if op == "/" and factor == 0:
        return None
    scale = operator.mul if op == "*" else operator.truediv
    if isinstance(amount, Money):
        return Money(scale(amount.amount, factor), amount.currency)
    return {currency: scale(each, factor) for currency, each in amount.items()}


def _of_amounts(op: str, left: _Amount, right: _Amount) -> _Amount | None:
    combine = operator.add if op == "+" else operator.sub
    results = {c: combine(first, second) for first, second, c in _by_currency(left, right)}
    if isinstance(left, Money) or isinstance(right, Money):
        return next((Money(amount, c) for c, amount in results.items()), None)
    return results or None


def _local(moment_us: int, zone: ZoneInfo) -> datetime:
    return (_EPOCH + timedelta(microseconds=moment_us)).astimezone(zone)


def _hour(moment_us: int | None, zone: ZoneInfo) -> int | None:
    return None if moment_us is None else _local(moment_us, zone).hour


def _weekday(moment_us: int | None, zone: ZoneInfo) -> int | None:
    return None if moment_us is None else _local(moment_us, zone).weekday()


def _startswith(text: str | None, prefix: str) -> bool | None:
    return None if text is None else text.startswith(prefix)


def _ratio(part: _Amount | None, whole: _Amount | None) -> Decimal | None:
    amounts = _in_one_currency(part, whole)
    return None if amounts is None or amounts[1] == 0 else amounts[0] / amounts[1]


def _number(money: _Amount | None) -> Decimal | None:
    # An amount for each currency is no single number.
    return money.amount if isinstance(money, Money) else None


def aggregate(function: str) -> Callable[[Sequence[Any], str | None], Any]:
    """Return the function of a set's events and a field's name that `having` calls by name."""

    def compute(members: Sequence[Any], field: str | None) -> Any:  # noqa: ANN401 - as asked for
        if field is None:
            return len(members)
        if isinstance(members, Members):
            return members.known(function, field)
        return tally_of(function, members, field).result()

    return compute


FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    **{f"money {op}": _compare_money(op) for op in _COMPARE},
    **{f"arithmetic {op}": _arithmetic(op) for op in "+-*/%"},
    "hour": _hour,
    "weekday": _weekday,
    "startswith": _startswith,
    "ratio": _ratio,
    "number": _number,
}
"""By name, as the source of a compiled condition calls them."""
