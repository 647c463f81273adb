import pytest

from ostiary_operator.local.console import Style
from ostiary_operator.view import tables


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0s"),
        (0, "0s"),
        (59, "59s"),
        (62, "1m2s"),
        (600, "10m"),
        (3 * 3600 + 61, "3h1m"),
        (86_400, "1d"),
        (9 * 86_400 + 3600, "9d1h"),
        (400 * 86_400, "400d"),
    ],
)
def test_an_age_is_printed_in_suitable_units(seconds: float, shown: str) -> None:
    assert tables.age(seconds) == shown


def test_colours_do_not_move_columns() -> None:
    def painted(text: str, style: Style) -> str:
        return f"<{style.value}>{text}<>" if style.value else text

    table = tables.render(("READY", "NAME"), [["True", "a"], ["Unknown", "b"]], paint=painted)
    assert table == "<1>READY<>     <1>NAME<>\n<32>True<>      a\n<33>Unknown<>   b\n"


def test_an_empty_cell_is_a_dash() -> None:
    assert tables.render(("A", "B"), [["", "x"]]) == "A   B\n-   x\n"
