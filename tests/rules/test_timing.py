from rules.moment import HOUR_US, MINUTE_US
from rules.timing import Timing


def test_records_count_for_six_hours_and_open_intervals_last_ninety_minutes_unless_set() -> None:
    assert Timing().settle("call_invitation") == 6 * HOUR_US
    assert Timing().open_for_us == 90 * MINUTE_US


def test_a_type_can_have_a_settle_of_its_own() -> None:
    timing = Timing(settle_us=HOUR_US, settle_by_type_us={"transfer": 3 * HOUR_US})
    assert timing.settle("transfer") == 3 * HOUR_US
    assert timing.settle("call_invitation") == HOUR_US
