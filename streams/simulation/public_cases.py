"""Six published cases, told as the records that a telephone company and a bank would have sent.

What was published is told as it was: the pretexts, the apps, the kinds of moves, and the amounts
50,000, 20,000, 100,000, 1.63 million and 30,000 yuan. Minutes, accounts and other amounts are
made up, and so is the day of all but the first. Sources: of the first Global Times, 2023-07-10,
and local press; of the others what the rule files name. Of Mr Zhao's, Ms Xu's and Fuding's no
publisher is on record.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

from rules.moment import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from streams.simulation.reports import (
    CALLS,
    Data,
    Person,
    Report,
    call,
    instant,
    person,
    screen_share,
    transfer,
)
from streams.simulation.town import Happening

CaseName = Literal["zhou", "zhao", "chen", "zhang", "xu", "fuding"]
CASE_NAMES: Final[tuple[CaseName, ...]] = get_args(CaseName)


class HeldBack(NamedTuple):
    """A stretch of time in which one feed's partition, that of a person, brings nothing.

    Its records come when the stretch is over. Its own watermark stands still until then, so
    none of them is late.
    """

    feed: str
    who: Person
    from_us: int
    until_us: int


@dataclass(frozen=True)
class _Victim:
    """Somebody on the day on which it happened to them; `name` begins the ids of their events."""

    name: str
    who: Person
    midnight_us: int

    def at(self, clock: str) -> int:
        hours, minutes, seconds = (int(part) for part in clock.split(":"))
        return self.midnight_us + hours * HOUR_US + minutes * MINUTE_US + seconds * SECOND_US

    def is_called(self, clock: str, minutes: int, caller: str, **fields: str) -> Iterator[Report]:
        data: Data = {"caller": f"{caller}@mail.example", "service": "facetime", "media": "video"}
        data |= {"relationship": "stranger", "display_name_class": "institution_like"}
        data |= {"number_validation": "not_applicable", **fields}
        own_id, at_us = f"{self.name}-call", self.at(clock)
        yield from call(own_id, self.who, at_us, minutes * 60, data, rings_s=30)

    def shares_screen(self, clock: str, minutes: int) -> Iterator[Report]:
        data: Data = {"app_category": "meeting", "remote_input": False, "first": True}
        data |= {"bank_app_foreground": True, "meeting": f"meeting-{self.name}"}
        own_id = f"{self.name}-share"
        yield from screen_share(own_id, self.who, self.at(clock), minutes * 60, data)

    def does(self, event: str, clock: str, **fields: str | int | bool) -> Iterator[Report]:
        own_id = f"{self.name}-{event.replace('_', '-')}-{clock.replace(':', '')}"
        yield from instant(event, own_id, self.who, self.at(clock), dict(fields))

    def opens_bank_app(self, clock: str) -> Iterator[Report]:
        device = self.who.device
        yield from self.does("session_opened", clock, channel="mobile", device=device)

    def visits(self, clock: str, domain: str, lookalike_of: str) -> Iterator[Report]:
        site: Data = {"domain": f"{domain}.example", "domain_age_days": 6, "form_posted": True}
        category = "finance" if lookalike_of == "alipay" else "authority"
        yield from self.does(
            "web_visit", clock, lookalike_of=lookalike_of, category=category, **site
        )

    def moves(self, clock: str, kind: str, amount: str, before: str) -> Iterator[Report]:
        money: Data = {"amount": amount, "balance_before": before, "currency": "CNY"}
        yield from self.does("funds_moved", clock, kind=kind, **money)

    def pays(
        self,
        clock: str,
        amount: str,
        account: str = "1",
        *,
        ends: str = "accepted",
        **fields: str | int,
    ) -> Iterator[Report]:
        data: Data = {"payee_account": f"acc-designated-{self.name}-{account}"}
        data |= {"payee_kind": "personal", "payee_times_paid": 0, **fields}
        own_id = f"{self.name}-pay-{clock[:2]}{clock[3:5]}"
        yield from transfer(own_id, self.who, self.at(clock), amount, data, ends=ends)

    def is_blocked(self, clock: str, caller: str) -> Iterator[Report]:
        other = f"{caller}@mail.example"
        yield from self.does(
            "contact_blocked", clock, by="counterparty", evidence="message_rejected", caller=other
        )


def _ms_zhou(v: _Victim) -> Iterator[Report]:
    """Shanghai: "JD.com customer service, your credit record"; a loan, a site, a transfer."""
    yield from v.is_called("10:02:10", 92, "jd-service")
    yield from v.does(
        "app_install", "10:09:41", category="meeting", store="official", publisher_known=True
    )
    yield from v.shares_screen("10:14:05", 76)
    yield from v.opens_bank_app("10:21:30")
    money: Data = {"amount": "50000", "currency": "CNY", "facility": "bank_loan", "first": True}
    yield from v.does("loan_drawdown", "10:33:52", **money)
    yield from v.visits("10:41:16", "credit-centre", "credit-centre")
    account = "acc-designated-zhou-1"
    yield from v.does("payee_added", "10:49:20", payee_account=account, channel="mobile")
    yield from v.pays("10:52:38", "20000", purpose_class="clearing")
    # Asked for more, she hesitated; then nobody answered her any longer.
    yield from v.is_blocked("11:35:40", "jd-service")


def _mr_zhao(v: _Victim) -> Iterator[Report]:
    """Shanghai: "Alipay service", a link, transfers "to lower the rate" that never came back."""
    yield from v.is_called("14:07:00", 64, "alipay-service")
    yield from v.visits("14:16:25", "service-alipay", "alipay")
    yield from v.opens_bank_app("14:20:02")
    yield from v.pays("14:24:47", "9800", "1", purpose_class="verification")
    yield from v.pays("14:39:12", "12600", "2", purpose_class="verification")
    # To the first account again, which is no longer new to the bank.
    yield from v.pays("14:58:33", "15000", "1", payee_times_paid=1, purpose_class="verification")


def _ms_chen(v: _Victim) -> Iterator[Report]:
    """Jinshan: "the regulator"; a debit that was only her own term deposit; she stopped."""
    yield from v.is_called("09:31:15", 41, "regulator-desk")
    yield from v.shares_screen("09:40:50", 30)
    yield from v.opens_bank_app("09:44:08")
    yield from v.moves("09:52:27", "current_to_term", "100000", "118350")


def _ms_zhang(v: _Victim) -> Iterator[Report]:
    """Shanghai: called on a tablet; a six-digit "verification code" typed in as the amount."""
    yield from v.is_called("11:05:20", 83, "loan-service", device="tablet-zhang")
    yield from v.shares_screen("11:15:00", 70)
    yield from v.opens_bank_app("11:18:44")
    yield from v.moves("11:34:10", "current_to_term", "1630000", "1985400")
    # The bank held it.
    yield from v.pays("12:03:55", "286914", ends="held", balance_before="355400")


def _ms_xu(v: _Victim) -> Iterator[Report]:
    """Nanjing: a caller with the camera off; what was on all cards pooled onto one, then gone."""
    yield from v.is_called("16:12:30", 75, "finance-regulator")
    yield from v.visits("16:22:18", "regulator-service", "finance-regulator")
    yield from v.opens_bank_app("16:27:40")
    yield from v.moves("16:31:05", "own_sweep", "46000", "8200")
    yield from v.moves("16:35:21", "own_sweep", "38500", "54200")
    yield from v.moves("16:40:59", "own_sweep", "21300", "92700")
    yield from v.pays("16:48:36", "98000", balance_before="114000")
    yield from v.is_blocked("17:31:00", "finance-regulator")


def _fuding(v: _Victim) -> Iterator[Report]:
    """Fuding: "Weilidai service", the account is frozen, 30,000 to unfreeze it."""
    yield from v.is_called("15:20:45", 38, "weilidai-service")
    yield from v.opens_bank_app("15:33:10")
    yield from v.pays("15:41:22", "30000", purpose_class="unfreeze")


class _Case(NamedTuple):
    name: CaseName
    area: str
    day: int
    tell: Callable[[_Victim], Iterator[Report]]


# Two of them live in one residential area.
_CASES = (
    _Case("zhou", "area-minhang-03", 0, _ms_zhou),
    _Case("zhao", "area-minhang-03", 0, _mr_zhao),
    _Case("chen", "area-jinshan-01", 1, _ms_chen),
    _Case("zhang", "area-pudong-11", 1, _ms_zhang),
    _Case("xu", "area-nanjing-06", 2, _ms_xu),
    _Case("fuding", "area-fuding-02", 1, _fuding),
)
_FIRST_SERIAL = 900_001


def _victims(start_us: int) -> dict[str, _Victim]:
    return {
        case.name: _Victim(case.name, person(serial, case.area), start_us + case.day * DAY_US)
        for serial, case in enumerate(_CASES, _FIRST_SERIAL)
    }


def public_cases(start_us: int, names: Collection[CaseName] = CASE_NAMES) -> list[Happening]:
    """Return cases in order of time; `start_us` is midnight in Shanghai of the first day."""
    victims = _victims(start_us)
    told = [tuple(case.tell(victims[case.name])) for case in _CASES if case.name in names]
    happenings = (Happening(min(r.time_us for r in reports), reports) for reports in told)
    return sorted(happenings, key=lambda happening: happening.at_us)


def delayed_calls(start_us: int) -> HeldBack:
    """Return the delay in which the call of Fuding's case comes four hours after its transfer."""
    victim = _victims(start_us)["fuding"]
    return HeldBack(CALLS, victim.who, victim.at("15:00:00"), victim.at("19:45:00"))
