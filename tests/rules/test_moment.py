import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.moment import DAY_US, format_duration, format_moment, parse_duration, parse_moment
from tests.strategies import moment_texts

LATEST_US = parse_moment("2261-12-31T23:59:59.999999Z")


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2023-07-08T10:42:00+08:00", "2023-07-08T02:42:00Z"),
        ("2023-07-08t02:42:00z", "2023-07-08T02:42:00Z"),
        ("2023-07-07T23:12:00.5-03:30", "2023-07-08T02:42:00.500000Z"),
        ("2023-07-08T02:42:00-00:00", "2023-07-08T02:42:00Z"),
        ("2023-07-08T02:42:00.1234569Z", "2023-07-08T02:42:00.123456Z"),
        ("2023-07-08T02:42:00.0000009Z", "2023-07-08T02:42:00Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("1969-12-31T23:00:00-01:00", "1970-01-01T00:00:00Z"),
        ("2261-12-31T23:59:59.9999999Z", "2261-12-31T23:59:59.999999Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
    ],
)
def test_a_moment_is_read_with_its_offset_and_written_in_utc(text: str, utc: str) -> None:
    assert format_moment(parse_moment(text)) == utc


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("2023-07-08T10:42:00", "is not a moment with an offset"),
        ("2023-07-08 10:42:00Z", "is not a moment with an offset"),
        ("2023-07-08T10:42Z", "is not a moment with an offset"),
        ("2023-07-08", "is not a moment with an offset"),
        ("20230708T104200Z", "is not a moment with an offset"),
        ("2023-07-08T10:42:00.Z", "is not a moment with an offset"),
        ("2023-07-08T10:42:00,5Z", "is not a moment with an offset"),
        ("2023-07-08T10:42:00+0800", "is not a moment with an offset"),
        ("2023-07-08T10:42:00+08:00:00", "is not a moment with an offset"),
        ("2023-07-08T10:42:00+24:00", "is not a moment with an offset"),
        ("2023-07-08T24:00:00Z", "is not a moment with an offset"),
        ("2016-12-31T23:59:60Z", "is not a moment with an offset"),
        ("٢٠٢٣-07-08T10:42:00Z", "is not a moment with an offset"),
        (" 2023-07-08T10:42:00Z", "is not a moment with an offset"),
        ("2023-07-08T10:42:00Z\n", "is not a moment with an offset"),
        ("", "is not a moment with an offset"),
        ("2023-02-29T00:00:00Z", "is not a day of the calendar"),
        ("2023-13-01T00:00:00Z", "is not a day of the calendar"),
        ("0000-01-01T00:00:00Z", "is not a day of the calendar"),
        ("1969-12-31T23:59:59.999999Z", "lies outside the years 1970 to 2261"),
        ("1970-01-01T00:00:00+00:01", "lies outside the years 1970 to 2261"),
        ("2262-01-01T00:00:00Z", "lies outside the years 1970 to 2261"),
        ("0001-01-01T00:00:00+23:59", "lies outside the years 1970 to 2261"),
        ("9999-12-31T23:59:59-23:59", "lies outside the years 1970 to 2261"),
    ],
)
def test_what_is_no_moment_is_refused_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_moment(text)


@given(st.integers(0, LATEST_US))
def test_a_written_moment_is_read_back(us: int) -> None:
    assert parse_moment(format_moment(us)) == us


@given(st.data(), st.integers(DAY_US, LATEST_US - DAY_US))
def test_every_writing_of_a_moment_is_the_same_moment(data: st.DataObject, us: int) -> None:
    assert parse_moment(data.draw(moment_texts(us))) == us


@given(st.text())
def test_no_text_gets_anything_but_a_moment_or_a_sentence(text: str) -> None:
    try:
        us = parse_moment(text)
    except ValueError:
        return
    assert 0 <= us <= LATEST_US


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("90s", 90_000_000),
        ("15m", 900_000_000),
        ("2h", 7_200_000_000),
        ("1d12h", 129_600_000_000),
        ("1.5h", 5_400_000_000),
        ("0.5s", 500_000),
        ("0s", 0),
        ("0.000001s", 1),
        ("PT2H", 7_200_000_000),
        ("P1DT2H", 93_600_000_000),
        ("P3D", 259_200_000_000),
        ("PT90.5S", 90_500_000),
        ("PT1M", 60_000_000),
    ],
)
def test_a_duration_is_read_in_both_of_its_forms(text: str, us: int) -> None:
    assert parse_duration(text) == us


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "2", "h", "2 h", "2H", "1h2h", "1m1h", "1h-2m", "-2h", "+2h", "1hx2m", "2y"),
        *("P", "PT", "P1M", "P1Y", "P1W", "PT2H ", "P1H", "pt2h", "1.h", ".5h", "٢h", "2h\n"),
    ],
)
def test_what_is_no_duration_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration like 90s, 15m, 2h, 1d12h or PT2H"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["3651d", "87600h0.000001s", "P3651D", "99999999999999d"])
def test_a_duration_longer_than_ten_years_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="is longer than ten years"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "0s"),
        (1, "0.000001s"),
        (500_000, "0.5s"),
        (192_000_000, "3m12s"),
        (7_200_000_000, "2h"),
        (4_140_000_000, "1h9m"),
        (43_800_000_000, "12h10m"),
        (51_000_000_000, "14h10m"),
        (94_800_000_000, "26h20m"),
        (129_600_000_000, "36h"),
        (172_800_000_000, "2d"),
        (187_200_000_000, "2d4h"),
        (259_200_000_001, "3d0.000001s"),
        (-4_140_000_000, "-1h9m"),
    ],
)
def test_a_duration_is_written_as_people_say_it(us: int, text: str) -> None:
    assert format_duration(us) == text


@given(st.integers(0, 3650 * DAY_US))
def test_a_written_duration_is_read_back(us: int) -> None:
    assert parse_duration(format_duration(us)) == us
