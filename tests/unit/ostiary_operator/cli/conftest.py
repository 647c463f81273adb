import pytest
from command_line import Ostiary, ostiary_command


@pytest.fixture
def ostiary(capsys: pytest.CaptureFixture[str]) -> Ostiary:
    return ostiary_command(capsys)
