"""What people of the town do: each habit says what is reported of it, and how common it is.

Among ordinary things are those that look like the crime and are none: a flat viewed by video and
a deposit, a seller who shows goods, a relative who needs money. Nobody here is talked into
anything: a stranger's video call that is answered for a minute is never followed by a transfer of
3,000 yuan or more to a new personal payee. Only the habits marked `once` come near it, and
nobody has two of those.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rules.moment import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from streams.simulation.chance import Chance
from streams.simulation.reports import (
    Data,
    Person,
    Report,
    call,
    instant,
    moment,
    screen_share,
    transfer,
)


@dataclass(frozen=True)
class Scene:
    """What a habit is given: chance, who has it, when, and a number that is this scene's alone."""

    chance: Chance
    who: Person
    at_us: int
    serial: int
    people: Sequence[Person]

    def friend(self) -> Person:
        """Return somebody whom this person knows."""
        own = self.who.serial
        return self.people[(own + self.chance.between(0, 4)) % len(self.people)]

    def stranger(self) -> str:
        """Return an address that this person has never heard of."""
        return f"caller-{self.serial}@mail.example"

    def after(self, least_minutes: int, most_minutes: int) -> int:
        """Return a moment some minutes into the scene."""
        seconds = self.chance.between(least_minutes * 60, most_minutes * 60)
        return self.at_us + seconds * SECOND_US

    def calls(
        self, caller: str, known: str, how: str, talk_s: int | None, **fields: str
    ) -> Iterator[Report]:
        """Yield a call to this person; `how` is service and media, `known` the relationship."""
        service, media = how.split()
        data = {"caller": caller, "service": service, "media": media, "relationship": known}
        yield from call(f"c-{self.serial}", self.who, self.at_us, talk_s, {**data, **fields})

    def pays(
        self, at_us: int, amount: str, account: str, kind: str, times_paid: int
    ) -> Iterator[Report]:
        """Yield a transfer from this person."""
        payee: Data = {"payee_account": account, "payee_kind": kind}
        payee["payee_times_paid"] = times_paid
        yield from transfer(f"p-{self.serial}", self.who, at_us, amount, payee)

    def pays_shop(self, at_us: int, amount: str) -> Iterator[Report]:
        """Yield a transfer to a merchant, often one never paid before."""
        shop, times = f"acc-shop-{self.chance.between(1, 40)}", self.chance.small(0, 30)
        yield from self.pays(at_us, amount, shop, "merchant", times)

    def pays_new_person(self, at_us: int, amount: int) -> Iterator[Report]:
        """Yield a transfer to a personal account never paid before."""
        yield from self.pays(at_us, str(amount), f"acc-new-{self.serial}", "personal", 0)

    def does(self, event: str, **fields: str | int | bool) -> Iterator[Report]:
        """Yield an event that does not last."""
        yield from instant(event, f"e-{self.serial}", self.who, self.at_us, dict(fields))


@dataclass(frozen=True)
class Habit:
    """Something that people do: how often compared with the rest, and how many events it is."""

    weight: int
    events: int
    scene: Callable[[Scene], Iterator[Report]]
    once: bool = False


def _friend_calls(s: Scene) -> Iterator[Report]:
    how = s.chance.among(("wechat video", "facetime video", "wechat audio", "volte audio"))
    known = s.chance.among(("contact", "contact", "contact", "prior_mutual"))
    talk_s = s.chance.small(20, 4_000) if s.chance.happens(0.75) else None
    yield from s.calls(s.friend().number, known, how, talk_s)


def _unknown_number_rings(s: Scene) -> Iterator[Report]:
    known = s.chance.among(("stranger", "stranger", "one_way_prior"))
    talk_s = s.chance.small(4, 200) if s.chance.happens(0.4) else None
    yield from s.calls(s.stranger(), known, "volte audio", talk_s, display_name_class="none")


def _unknown_video_rings_out(s: Scene) -> Iterator[Report]:
    yield from s.calls(s.stranger(), "stranger", "wechat video", None)


def _looks_at_the_balance(s: Scene) -> Iterator[Report]:
    yield from s.does(
        "session_opened", session=f"s-{s.serial}", channel="mobile", device=s.who.device
    )


def _buys(s: Scene) -> Iterator[Report]:
    yield from s.pays_shop(s.at_us, f"{s.chance.small(4, 900)}.{s.chance.between(10, 99)}")


def _pays_a_bill(s: Scene) -> Iterator[Report]:
    office, times = f"acc-office-{s.chance.between(1, 9)}", s.chance.small(0, 60)
    amount = f"{s.chance.small(60, 6_000)}.{s.chance.between(10, 99)}"
    yield from s.pays(s.at_us, amount, office, "government", times)


def _pays_a_friend(s: Scene) -> Iterator[Report]:
    amount, times = str(s.chance.small(5, 900) * 10), s.chance.between(1, 40)
    yield from s.pays(s.at_us, amount, f"acc-of-{s.friend().serial}", "personal", times)


def _pays_somebody_new_a_little(s: Scene) -> Iterator[Report]:
    yield from s.does("payee_added", payee_account=f"acc-new-{s.serial}", channel="mobile")
    yield from s.pays_new_person(s.after(1, 9), s.chance.small(20, 2_900))


def _is_paid(s: Scene) -> Iterator[Report]:
    amount, payer = str(s.chance.small(20, 900) * 10), f"acc-of-{s.friend().serial}"
    own_id = f"p-{s.serial}"
    yield from transfer(
        own_id, s.who, s.at_us, amount, {"payee_account": payer, "direction": "in"}
    )


def _moves_savings(s: Scene) -> Iterator[Report]:
    kind = s.chance.among(("term_to_current", "current_to_term", "fund_redemption", "own_sweep"))
    amount = s.chance.small(1, 60) * 1_000
    before = str(amount + s.chance.between(200, 90_000))
    fields = {"kind": kind, "amount": str(amount), "currency": "CNY", "balance_before": before}
    yield from s.does("funds_moved", **fields, at_maturity=True)


def _reads(s: Scene) -> Iterator[Report]:
    category = s.chance.among(("shopping", "shopping", "other", "finance", "bank"))
    site = s.chance.between(1, 30)
    fields = {"domain": f"{category}-{site}.example", "category": category}
    yield from s.does("web_visit", **fields, domain_age_days=400 + 37 * site)


def _installs(s: Scene) -> Iterator[Report]:
    category = s.chance.among(("other", "other", "other", "meeting", "vpn"))
    fields = {"package": f"example.app{s.chance.between(1, 60)}", "category": category}
    yield from s.does("app_install", **fields, store="official", publisher_known=True)


def _takes_a_lesson(s: Scene) -> Iterator[Report]:
    meeting = f"meeting-{s.serial}"
    teacher = s.friend().number
    yield from s.calls(teacher, "contact", "meeting video", 45 * 60, meeting=meeting)
    shown: Data = {"app_category": "meeting", "meeting": meeting, "bank_app_foreground": False}
    yield from screen_share(f"h-{s.serial}", s.who, s.after(3, 9), 20 * 60, shown)


def _bank_calls(s: Scene) -> Iterator[Report]:
    desk = f"desk-{s.chance.between(1, 9)}@bank.example"
    until = moment(s.at_us + HOUR_US)
    # Registered a quarter of an hour ahead, at `time`; the call comes when it may.
    fields: Data = {"valid_from": moment(s.at_us + 15 * MINUTE_US), "valid_to": until}
    yield from s.does("official_call", institution="bank", caller=desk, **fields)
    later = Scene(s.chance, s.who, s.after(16, 40), s.serial, s.people)
    talk_s = s.chance.between(60, 600)
    yield from later.calls(desk, "one_way_prior", "volte audio", talk_s)


def _draws_on_credit(s: Scene) -> Iterator[Report]:
    applied = moment(s.at_us - 2 * DAY_US)
    fields = {"amount": str(s.chance.small(1, 20) * 1_000), "currency": "CNY"}
    fields |= {"facility": "consumer_credit", "applied_at": applied}
    yield from s.does("loan_drawdown", **fields, first=False)


def _moves_to_another_phone(s: Scene) -> Iterator[Report]:
    yield from s.does("sim_swap")


def _forwards_calls(s: Scene) -> Iterator[Report]:
    yield from s.does("call_forwarding", mode="conditional")


def _blocks_somebody(s: Scene) -> Iterator[Report]:
    yield from s.does("contact_blocked", by="subject", evidence="app_event", caller=s.stranger())


def _views_a_flat(s: Scene) -> Iterator[Report]:
    yield from s.calls(s.stranger(), "stranger", "wechat video", s.chance.between(300, 1_500))
    yield from s.pays_shop(s.after(30, 100), str(s.chance.between(30, 90) * 100))


def _buys_second_hand(s: Scene) -> Iterator[Report]:
    yield from s.calls(s.stranger(), "stranger", "wechat video", s.chance.between(120, 900))
    yield from s.pays_new_person(s.after(1, 60), s.chance.between(150, 2_900))


def _helps_a_relative(s: Scene) -> Iterator[Report]:
    relative = s.friend().number
    yield from s.calls(relative, "contact", "wechat video", s.chance.between(300, 1_800))
    yield from s.pays_new_person(s.after(2, 60), s.chance.between(4, 30) * 1_000)


def _meets_a_relatives_new_number(s: Scene) -> Iterator[Report]:
    yield from s.calls(s.stranger(), "stranger", "facetime video", s.chance.between(300, 1_800))
    amount, account = str(s.chance.between(4, 9) * 1_000), f"acc-of-{s.friend().serial}"
    yield from s.pays(s.after(2, 60), amount, account, "personal", s.chance.between(1, 40))


def _sees_a_doctor(s: Scene) -> Iterator[Report]:
    doctor = f"doctor-{s.chance.between(1, 9)}@clinic.example"
    yield from s.calls(doctor, "one_way_prior", "wechat video", s.chance.between(400, 1_200))
    yield from s.pays_shop(s.after(10, 40), str(s.chance.between(30, 600)))


def _agrees_on_rent(s: Scene) -> Iterator[Report]:
    yield from s.calls(s.stranger(), "stranger", "volte audio", s.chance.between(120, 900))
    yield from s.pays_new_person(s.after(20, 90), s.chance.between(30, 90) * 100)


def _picks_up_a_wrong_number(s: Scene) -> Iterator[Report]:
    yield from s.calls(s.stranger(), "stranger", "wechat video", s.chance.between(5, 50))
    yield from s.pays_new_person(s.after(20, 90), s.chance.between(30, 90) * 100)


def _lets_it_ring(s: Scene) -> Iterator[Report]:
    yield from s.calls(s.stranger(), "stranger", "wechat video", None)
    yield from s.pays_new_person(s.after(20, 90), s.chance.between(30, 90) * 100)


HABITS: tuple[Habit, ...] = (
    Habit(260, 1, _friend_calls),
    Habit(120, 1, _unknown_number_rings),
    Habit(20, 1, _unknown_video_rings_out),
    Habit(140, 1, _looks_at_the_balance),
    Habit(220, 1, _buys),
    Habit(40, 1, _pays_a_bill),
    Habit(70, 1, _pays_a_friend),
    Habit(30, 2, _pays_somebody_new_a_little),
    Habit(30, 1, _is_paid),
    Habit(20, 1, _moves_savings),
    Habit(90, 1, _reads),
    Habit(30, 1, _installs),
    Habit(20, 2, _takes_a_lesson),
    Habit(8, 2, _bank_calls),
    Habit(6, 1, _draws_on_credit),
    Habit(2, 1, _moves_to_another_phone),
    Habit(2, 1, _forwards_calls),
    Habit(4, 1, _blocks_somebody),
    Habit(7, 2, _views_a_flat, once=True),
    Habit(7, 2, _buys_second_hand, once=True),
    Habit(7, 2, _helps_a_relative, once=True),
    Habit(7, 2, _meets_a_relatives_new_number, once=True),
    Habit(7, 2, _sees_a_doctor, once=True),
    Habit(7, 2, _agrees_on_rent, once=True),
    Habit(7, 2, _picks_up_a_wrong_number, once=True),
    Habit(7, 2, _lets_it_ring, once=True),
)
