"""Alternatives are worth asking once: what is left must let the same events pass."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rules.alternatives import alternative_of, factored, weakest
from rules.condition import Constant, Expression, Field, Junction, Parameter
from rules.events import Kind
from rules.money import Money
from rules.screen import ScreenEmitter
from tests.rules.build import among, compare, field, unknown
from tests.rules.oracle import evaluate

AMOUNTS = st.sampled_from(["100", "200", "300"]).map(Decimal)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "amount": st.builds(Money, AMOUNTS, st.sampled_from(["CNY", "EUR"])),
        "payee_times_paid": st.integers(0, 3),
        "direction": st.sampled_from(["in", "out"]),
        "first": st.booleans(),
    },
)


def of(name: str) -> Field:
    """Return a field of the transfer."""
    return field("pay", "transfer", name)


def times(op: Any, count: int, name: str) -> Expression:  # noqa: ANN401 - an operator
    """Return a comparison with a threshold, as a parameter of some name or in place."""
    right = Parameter(name, count, Kind.INTEGER) if name else Constant(count, Kind.INTEGER)
    return compare(of("payee_times_paid"), op, right)


def money(op: Any, amounts: Mapping[str, Decimal], *, one: bool) -> Expression:  # noqa: ANN401 - an operator
    """Return a comparison with one amount, or one for each currency."""
    currency, amount = next(iter(amounts.items()))
    value: Any = Money(amount, currency) if one else dict(amounts)
    return compare(of("amount"), op, Parameter("least", value, Kind.MONEY))


OPERATORS = st.sampled_from([">=", ">", "<=", "<", "=="])
LEAVES: st.SearchStrategy[Expression] = st.one_of(
    st.builds(times, OPERATORS, st.integers(0, 3), st.sampled_from(["", "a", "b"])),
    st.builds(
        money,
        st.sampled_from([">=", "<"]),
        st.dictionaries(st.sampled_from(["CNY", "EUR", "USD"]), AMOUNTS, min_size=1),
        one=st.booleans(),
    ),
    st.just(among(of("direction"), "out")),
    st.just(of("first")),
    st.just(unknown(of("first"))),
)
CONDITIONS = st.one_of(
    LEAVES,
    st.builds(
        lambda op, parts: Junction(op, tuple(parts)),
        st.sampled_from(["and", "or"]),
        st.lists(LEAVES, min_size=2, max_size=3),
    ),
)


def passes(alternatives: Sequence[Sequence[Expression]], values: Mapping[str, Any]) -> bool:
    """Tell whether an event passes any alternative, each asked by itself."""
    bound = {"pay": SimpleNamespace(values=values)}
    return any(
        all(evaluate(condition, bound) is not False for condition in each) for each in alternatives
    )


@given(st.lists(st.lists(CONDITIONS, max_size=3), max_size=6), VALUES)
def test_what_is_left_lets_the_same_events_pass(
    alternatives: list[list[Expression]], values: dict[str, Any]
) -> None:
    emitter = ScreenEmitter(lambda read: f"b.get({read.name!r})")
    left = weakest(alternative_of(each) for each in alternatives)
    judge = emitter.compile(factored(left, emitter.passes))
    assert bool(judge(values)) == passes(alternatives, values)


def test_a_hundred_thresholds_become_the_weakest() -> None:
    alternatives = [
        alternative_of([of("first"), times(">=", count, "least")]) for count in range(1, 101)
    ]
    (left,) = weakest(alternatives)
    assert [n.right.value for n in left.values() if not isinstance(n, Field)] == [1]  # type: ignore[union-attr]


def test_a_currency_that_some_threshold_lacks_is_unknown_to_it_and_passes() -> None:
    yuan = money(">=", {"CNY": Decimal(100)}, one=True)
    euro = money(">=", {"EUR": Decimal(100)}, one=True)
    assert weakest([alternative_of([yuan]), alternative_of([euro])]) == [{}]
