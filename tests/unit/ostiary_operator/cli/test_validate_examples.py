from pathlib import Path

import pytest
from command_line import Ostiary

EXAMPLES = Path(__file__).parents[4] / "examples"


@pytest.mark.parametrize("folder", sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()))
def test_every_example_is_valid_by_itself(folder: str, ostiary: Ostiary) -> None:
    answer = ostiary("validate", "--strict", str(EXAMPLES / folder))
    assert answer.code == 0, answer.out


def test_the_examples_are_valid_together(ostiary: Ostiary) -> None:
    # The console shows the endpoints of two other examples.
    together = [str(path) for path in sorted(EXAMPLES.iterdir()) if path.is_dir() and path.name != "console"]
    assert ostiary("validate", "--strict", *together).code == 0
