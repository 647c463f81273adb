"""What is made from `boards.yaml` is up to date."""

from ostiary_tools.generate.boards import main


def test_everything_that_is_generated_is_up_to_date() -> None:
    assert main.stale() == [], "run: make generate"
