import pytest
from command_line import Ostiary, calling


@pytest.fixture
def ostiary(capsys: pytest.CaptureFixture[str]) -> Ostiary:
    return calling(capsys)
