"""People on both sides: exact while they are few, an even sample once they are many."""

from rules.authoring.people import People, people_sentence


def comparable(text: str) -> str:
    """The same person with and without spaces in the number."""
    return text.replace(" ", "")


def test_people_are_counted_on_each_side_and_on_both() -> None:
    people = People(comparable)
    for side, person in (("calls", "+86 1"), ("bank", "+861"), ("bank", "+862"), ("bank", "+862")):
        people.note(side, person)
    people.thin()
    assert people.counts() == (1, 2, 1)
    assert not people.is_sample


def many(people: People, numbers: range) -> People:
    """Note many people: all of them on the call side, every fourth with the bank too."""
    for number in numbers:
        # Whoever comes next is anywhere in the order of texts.
        person = f"+{number * 2_654_435_761 % 2**32:010}"
        people.note("calls", person)
        if number % 4 == 0:
            people.note("bank", person)
        if number % 100 == 0:
            people.thin()
    people.thin()
    return people


def test_more_people_than_are_held_are_estimated_from_an_even_sample() -> None:
    people = many(People(comparable, most=1_000), range(20_000))
    assert people.is_sample
    assert all(len(side.held) <= 1_000 for side in people.sides.values())
    for count, true in zip(people.counts(), (20_000, 5_000, 5_000), strict=True):
        assert abs(count - true) < 0.15 * true


def test_a_sample_can_be_taken_over_from_others() -> None:
    whole = many(People(comparable, most=1_000), range(20_000))
    gathered = People(comparable, most=1_000)
    part = People(comparable, most=1_000)
    for begin in range(0, 20_000, 2_500):
        part.clear()
        gathered.take(many(part, range(begin, begin + 2_500)).samples())
    for count, true in zip(gathered.counts(), whole.counts(), strict=True):
        assert abs(count - true) < 0.3 * true
    small = People(comparable)
    small.take(many(People(comparable), range(100)).samples())
    assert small.counts() == (100, 25, 25)


def test_the_sentence_says_when_the_sides_do_not_meet_and_when_it_is_an_estimate() -> None:
    assert people_sentence(1, 2, 1) == "people: 1 with calls, 2 with a bank, 1 with both"
    assert "alike" not in people_sentence(0, 1, 0)
    assert people_sentence(1, 1, 0) == (
        "people: 1 with calls, 1 with a bank, 0 with both; the two sides do not name people alike"
    )
    assert people_sentence(1_000, 2, 0, about=True) == (
        "people: about 1,000 with calls, 2 with a bank, 0 with both;"
        " the two sides do not name people alike"
    )


def test_a_copy_counts_the_same_and_follows_nobody_who_comes_later() -> None:
    people = many(People(comparable, most=1_000), range(20_000))
    copied = people.copy()
    before = people.counts()
    many(people, range(20_000, 40_000))
    assert copied.counts() == before != people.counts()
