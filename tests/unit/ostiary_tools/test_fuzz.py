from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest

from ostiary_tools.fuzz import SURFACES, command, fuzz

_ROOT = Path(__file__).parents[3]


def test_rounds_go_on_until_the_time_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    ran: list[Sequence[str]] = []
    ticks = count(0, 40)

    def run(arguments: Sequence[str]) -> int:
        ran.append(arguments)
        return 0

    assert fuzz(100, [], run=run, clock=lambda: float(next(ticks))) == 0
    assert len(ran) == 3
    assert "round 3 found nothing" in capsys.readouterr().err


def test_the_first_finding_ends_it_and_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    codes = iter([0, 1])

    assert fuzz(1e9, [], run=lambda _: next(codes)) == 1
    assert "named test" in capsys.readouterr().err


def test_what_is_asked_for_takes_the_place_of_all_surfaces() -> None:
    assert command([])[-len(SURFACES) :] == list(SURFACES)
    assert command(["tests/fuzz/test_http1.py"])[-2:] == ["--timeout=0", "tests/fuzz/test_http1.py"]


@pytest.mark.parametrize("surface", SURFACES)
def test_every_surface_is_a_folder_with_tests(surface: str) -> None:
    assert any((_ROOT / surface).rglob("test_*.py"))
