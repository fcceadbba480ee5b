"""What people of the town do: each habit says what is reported of it, and how common it is.

Written from what people do, without a look at any rule: amounts, hours and habits are drawn for
themselves, so that some of it looks like the crime by chance. Among ordinary things are those
that look like it often: a flat viewed by video and a deposit, a seller who shows goods, a relative
who needs money. How common each is, is a guess, and `docs/town.md` shows it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

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
    townsperson,
    transfer,
)

_PURPOSES = (*["other"] * 20, "fee", "fee", "deposit", "refund")


@dataclass(frozen=True)
class Scene:
    """What a habit is given: chance, who has it, when, and a number that is this scene's alone.

    `own` is who has it: one of `people`, counted from 1.
    """

    chance: Chance
    own: int
    at_us: int
    serial: int
    people: int

    @property
    def who(self) -> Person:
        """Whose habit it is."""
        return townsperson(self.own)

    def friend(self) -> Person:
        """Return somebody whom this person knows."""
        return townsperson((self.own + self.chance.between(0, 4)) % self.people + 1)

    def stranger(self) -> str:
        """Return an address that this person has never heard of."""
        return f"caller-{self.serial}@mail.example"

    def after(self, least_minutes: int, most_minutes: int) -> int:
        """Return a moment some minutes into the scene."""
        seconds = self.chance.between(least_minutes * 60, most_minutes * 60)
        return self.at_us + seconds * SECOND_US

    def later(self, least_minutes: int, most_minutes: int) -> "Scene":
        """Return the scene as it goes on some minutes later."""
        return replace(self, at_us=self.after(least_minutes, most_minutes))

    def calls(
        self, caller: str, known: str, how: str, talk_s: int | None, **fields: str
    ) -> Iterator[Report]:
        """Yield a call to this person; `how` is service and media, `known` the relationship."""
        service, media = how.split()
        data = {"caller": caller, "service": service, "media": media, "relationship": known}
        data["display_name_class"] = "personal"
        yield from call(f"c-{self.serial}", self.who, self.at_us, talk_s, {**data, **fields})

    def shows(self, at_us: int, lasts_s: int, **shown: str | bool) -> Iterator[Report]:
        """Yield a screen that this person shows to somebody."""
        data: Data = {"app_category": "meeting", "remote_input": False, **shown}
        data["first"] = self.chance.happens(0.05)
        data.setdefault("bank_app_foreground", self.chance.happens(0.02))
        yield from screen_share(f"h-{self.serial}", self.who, at_us, lasts_s, data)

    def pays(
        self, at_us: int, amount: str, account: str, kind: str, times_paid: int
    ) -> Iterator[Report]:
        """Yield a transfer from this person."""
        payee: Data = {"payee_account": account, "payee_kind": kind}
        payee["payee_times_paid"] = times_paid
        payee["purpose_class"] = self.chance.among(_PURPOSES)
        payee["first"] = self.chance.happens(0.001)
        left = self.chance.small(0, 200_000)
        payee["balance_before"] = str(Decimal(amount) + left)
        ends = "rejected" if self.chance.happens(0.005) else "accepted"
        yield from transfer(f"p-{self.serial}", self.who, at_us, amount, payee, ends=ends)

    def pays_shop(self, at_us: int, amount: str) -> Iterator[Report]:
        """Yield a transfer to a merchant, often one never paid before."""
        shop, times = f"acc-shop-{self.chance.between(1, 40)}", self.chance.small(0, 30)
        yield from self.pays(at_us, amount, shop, "merchant", times)

    def pays_new_person(self, at_us: int, amount: int) -> Iterator[Report]:
        """Yield a transfer to a personal account never paid before."""
        yield from self.pays(at_us, str(amount), f"acc-new-{self.serial}", "personal", 0)

    def moves(self, kind: str, amount: int) -> Iterator[Report]:
        """Yield a move between this person's own accounts."""
        before = str(amount + self.chance.between(200, 90_000))
        money = {"amount": str(amount), "currency": "CNY", "balance_before": before}
        due = self.chance.happens(0.6)
        yield from self.does("funds_moved", kind=kind, **money, at_maturity=due)

    def does(self, event: str, **fields: str | int | bool) -> Iterator[Report]:
        """Yield an event that does not last."""
        # Two of one kind in one scene lie some minutes apart.
        own_id = f"e-{self.serial}-{self.at_us // MINUTE_US % 10_000}"
        yield from instant(event, own_id, self.who, self.at_us, dict(fields))


@dataclass(frozen=True)
class Habit:
    """Something that people do: how often compared with the rest, and how many events it is."""

    weight: int
    events: int
    scene: Callable[[Scene], Iterator[Report]]

    @property
    def says(self) -> str:
        """What people do, in words."""
        return self.scene.__name__.strip("_").replace("_", " ")


def _friend_calls(s: Scene) -> Iterator[Report]:
    how = s.chance.among(("wechat video", "facetime video", "wechat audio", "volte audio"))
    known = s.chance.among(("contact", "contact", "contact", "prior_mutual"))
    talk_s = s.chance.small(20, 4_000) if s.chance.happens(0.75) else None
    yield from s.calls(s.friend().number, known, how, talk_s)


def _unknown_number_rings(s: Scene) -> Iterator[Report]:
    known = s.chance.among(("stranger", "stranger", "one_way_prior"))
    talk_s = s.chance.small(4, 200) if s.chance.happens(0.4) else None
    yield from s.calls(s.stranger(), known, "volte audio", talk_s, display_name_class="none")


def _unknown_video_rings(s: Scene) -> Iterator[Report]:
    how = s.chance.among(("wechat video", "facetime video"))
    talk_s = s.chance.small(4, 900) if s.chance.happens(0.15) else None
    yield from s.calls(s.stranger(), "stranger", how, talk_s)


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


def _pays_somebody_new(s: Scene) -> Iterator[Report]:
    limit = {"limit": str(s.chance.among((5, 10, 20, 50)) * 1_000), "currency": "CNY"}
    account = f"acc-new-{s.serial}"
    yield from s.does("payee_added", payee_account=account, channel="mobile", **limit)
    yield from s.pays_new_person(s.after(1, 9), s.chance.small(20, 30_000, 8))


def _is_paid(s: Scene) -> Iterator[Report]:
    amount, payer = str(s.chance.small(20, 900) * 10), f"acc-of-{s.friend().serial}"
    own_id = f"p-{s.serial}"
    yield from transfer(
        own_id, s.who, s.at_us, amount, {"payee_account": payer, "direction": "in"}
    )


def _moves_savings(s: Scene) -> Iterator[Report]:
    kind = s.chance.among(("term_to_current", "current_to_term", "fund_redemption", "own_sweep"))
    yield from s.moves(kind, s.chance.small(1, 60) * 1_000)


def _reads(s: Scene) -> Iterator[Report]:
    category = s.chance.among(("shopping", "shopping", "other", "finance", "bank"))
    site = s.chance.between(1, 30)
    fields = {"domain": f"{category}-{site}.example", "category": category}
    age, posted = s.chance.small(400, 9_000), s.chance.happens(0.2)
    if s.chance.happens(0.01):
        fields["domain"], age = f"new-{s.serial}.example", s.chance.between(1, 60)
    yield from s.does("web_visit", **fields, domain_age_days=age, form_posted=posted)


def _installs(s: Scene) -> Iterator[Report]:
    category = s.chance.among((*["other"] * 20, "meeting", "meeting", "vpn", "remote_control"))
    package, device = f"example.app{s.chance.between(1, 60)}", s.who.device
    fields = {"package": package, "category": category, "device": device}
    yield from s.does("app_install", **fields, store="official", publisher_known=True)


def _takes_a_lesson(s: Scene) -> Iterator[Report]:
    meeting = f"meeting-{s.serial}"
    teacher = s.friend().number
    yield from s.calls(teacher, "contact", "meeting video", 45 * 60, meeting=meeting)
    yield from s.shows(s.after(3, 9), 20 * 60, meeting=meeting)


def _bank_calls(s: Scene) -> Iterator[Report]:
    desk = f"desk-{s.chance.between(1, 9)}@bank.example"
    until = moment(s.at_us + HOUR_US)
    # Registered a quarter of an hour ahead, at `time`; the call comes when it may.
    fields: Data = {"valid_from": moment(s.at_us + 15 * MINUTE_US), "valid_to": until}
    yield from s.does("official_call", institution="bank", caller=desk, **fields)
    later = s.later(16, 40)
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
    mode = s.chance.among(("conditional", "conditional", "unconditional", "inactive"))
    yield from s.does("call_forwarding", mode=mode)


def _blocks_somebody(s: Scene) -> Iterator[Report]:
    by = s.chance.among(("subject", "subject", "counterparty"))
    yield from s.does("contact_blocked", by=by, evidence="app_event", caller=s.stranger())


def _views_a_flat(s: Scene) -> Iterator[Report]:
    yield from s.calls(s.stranger(), "stranger", "wechat video", s.chance.between(300, 1_500))
    yield from s.pays_shop(s.after(30, 100), str(s.chance.between(30, 90) * 100))


def _buys_second_hand(s: Scene) -> Iterator[Report]:
    yield from s.calls(s.stranger(), "stranger", "wechat video", s.chance.between(20, 900))
    yield from s.pays_new_person(s.after(1, 60), s.chance.small(20, 9_000, 6))


def _helps_a_relative(s: Scene) -> Iterator[Report]:
    relative = s.friend().number
    yield from s.calls(relative, "contact", "wechat video", s.chance.between(300, 1_800))
    yield from s.pays_new_person(s.after(2, 60), s.chance.between(1, 30) * 1_000)


def _meets_a_relatives_new_number(s: Scene) -> Iterator[Report]:
    yield from s.calls(s.stranger(), "stranger", "facetime video", s.chance.between(300, 1_800))
    amount, account = str(s.chance.between(1, 9) * 1_000), f"acc-of-{s.friend().serial}"
    yield from s.pays(s.after(2, 60), amount, account, "personal", s.chance.small(0, 40, 1))


def _sees_a_doctor(s: Scene) -> Iterator[Report]:
    doctor = f"doctor-{s.chance.between(1, 9)}@clinic.example"
    yield from s.calls(doctor, "one_way_prior", "wechat video", s.chance.between(400, 1_200))
    yield from s.pays_shop(s.after(10, 40), str(s.chance.between(30, 600)))


def _agrees_on_rent(s: Scene) -> Iterator[Report]:
    how = s.chance.among(("volte audio", "volte audio", "wechat video"))
    yield from s.calls(s.stranger(), "stranger", how, s.chance.between(120, 900))
    yield from s.pays_new_person(s.after(20, 90), s.chance.between(10, 90) * 100)


def _picks_up_a_wrong_number(s: Scene) -> Iterator[Report]:
    yield from s.calls(s.stranger(), "stranger", "wechat video", s.chance.between(5, 50))
    yield from s.pays_new_person(s.after(20, 90), s.chance.between(10, 90) * 100)


def _lets_it_ring(s: Scene) -> Iterator[Report]:
    yield from s.calls(s.stranger(), "stranger", "wechat video", None)
    yield from s.pays_new_person(s.after(20, 90), s.chance.between(10, 90) * 100)


def _has_the_helpdesk_look(s: Scene) -> Iterator[Report]:
    yield from s.calls("helpdesk@employer.example", "one_way_prior", "meeting video", 20 * 60)
    app, typed = s.chance.among(("meeting", "remote_control")), s.chance.happens(0.5)
    yield from s.shows(s.after(1, 5), 12 * 60, app_category=app, remote_input=typed)


def _helps_a_parent_pay(s: Scene) -> Iterator[Report]:
    yield from s.calls(s.friend().number, "contact", "wechat video", 15 * 60)
    bank = s.chance.happens(0.5)
    yield from s.shows(s.after(1, 3), 10 * 60, bank_app_foreground=bank)
    yield from s.pays_shop(s.after(4, 10), str(s.chance.small(20, 3_000)))


def _gathers_and_pays(s: Scene) -> Iterator[Report]:
    first, second = s.chance.between(1, 20), s.chance.between(1, 20)
    yield from s.moves("own_sweep", first * 1_000)
    yield from s.later(2, 20).moves("own_sweep", second * 1_000)
    account, times = f"acc-of-{s.friend().serial}", s.chance.small(0, 30, 1)
    amount = str((first + second) * 1_000)
    yield from s.pays(s.after(25, 90), amount, account, "personal", times)


def _borrows_to_build(s: Scene) -> Iterator[Report]:
    amount = s.chance.between(10, 80) * 1_000
    money = {"amount": str(amount), "currency": "CNY", "facility": "bank_loan"}
    yield from s.does("loan_drawdown", **money, applied_at=moment(s.at_us - 5 * DAY_US))
    builder = f"acc-builder-{s.chance.between(1, 30)}"
    kind = "merchant" if s.chance.happens(0.8) else "personal"
    yield from s.pays(s.after(30, 600), str(amount // 2), builder, kind, 0)


def _is_talked_to_by_a_shop(s: Scene) -> Iterator[Report]:
    # A telemarketer with a list, who calls whoever comes next on it.
    seller, named = f"seller-{s.chance.between(1, 20)}@mail.example", s.chance.happens(0.1)
    name = "institution_like" if named else "personal"
    talk_s = s.chance.small(5, 600) if s.chance.happens(0.3) else None
    yield from s.calls(seller, "stranger", "wechat video", talk_s, display_name_class=name)


# Weight, events, what is done: of about eleven thousand.
HABITS: tuple[Habit, ...] = (
    Habit(2_600, 1, _friend_calls),
    Habit(1_200, 1, _unknown_number_rings),
    Habit(60, 1, _unknown_video_rings),
    Habit(1_400, 1, _looks_at_the_balance),
    Habit(2_200, 1, _buys),
    Habit(400, 1, _pays_a_bill),
    Habit(700, 1, _pays_a_friend),
    Habit(150, 2, _pays_somebody_new),
    Habit(300, 1, _is_paid),
    Habit(200, 1, _moves_savings),
    Habit(900, 1, _reads),
    Habit(300, 1, _installs),
    Habit(150, 2, _takes_a_lesson),
    Habit(30, 2, _bank_calls),
    Habit(30, 1, _draws_on_credit),
    Habit(4, 1, _moves_to_another_phone),
    Habit(4, 1, _forwards_calls),
    Habit(20, 1, _blocks_somebody),
    Habit(8, 2, _views_a_flat),
    Habit(8, 2, _buys_second_hand),
    Habit(15, 2, _helps_a_relative),
    Habit(6, 2, _meets_a_relatives_new_number),
    Habit(15, 2, _sees_a_doctor),
    Habit(6, 2, _agrees_on_rent),
    Habit(8, 2, _picks_up_a_wrong_number),
    Habit(15, 2, _lets_it_ring),
    Habit(20, 2, _has_the_helpdesk_look),
    Habit(10, 3, _helps_a_parent_pay),
    Habit(10, 3, _gathers_and_pays),
    Habit(3, 2, _borrows_to_build),
    Habit(20, 1, _is_talked_to_by_a_shop),
)
