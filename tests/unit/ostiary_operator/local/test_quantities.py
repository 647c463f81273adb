import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_operator.local.quantities import UNKNOWN, Quantity, shown, utc_time


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1204, Quantity.COUNT, "1,204"),
        (0, Quantity.COUNT, "0"),
        (3.4, Quantity.COUNT, "3.4"),
        (12.4, Quantity.COUNT, "12"),
        (0.00325, Quantity.SECONDS, "3.25 ms"),
        (0, Quantity.SECONDS, "0 ms"),
        (0.5, Quantity.SECONDS, "500 ms"),
        (1.5, Quantity.SECONDS, "1.5 s"),
        (125, Quantity.SECONDS, "2 min 5 s"),
        (0.125, Quantity.RATIO, "12.5 %"),
        (0.4, Quantity.PER_SECOND, "0.4/s"),
        (1536, Quantity.BYTES, "1.5 KiB"),
        (1e13, Quantity.BYTES, "9.09 TiB"),
        (None, Quantity.SECONDS, UNKNOWN),
        (float("nan"), Quantity.SECONDS, UNKNOWN),
        (float("inf"), Quantity.COUNT, UNKNOWN),
    ],
)
def test_a_number_has_three_digits_and_the_unit_that_fits(value: float | None, unit: Quantity, text: str) -> None:
    assert shown(value, unit) == text


@given(st.floats(), st.sampled_from(Quantity))
def test_every_number_can_be_written_without_an_exponent(value: float, unit: Quantity) -> None:
    assert "e" not in shown(value, unit).split(" ")[0]


def test_a_time_is_in_utc_and_has_its_date_on_request() -> None:
    assert utc_time(1_700_000_000_000) == "22:13:20"
    assert utc_time(1_700_000_000_000, with_date=True) == "2023-11-14 22:13:20"


@given(st.integers())
def test_a_time_that_no_calendar_has_is_a_dash(at: int) -> None:
    assert utc_time(at)
