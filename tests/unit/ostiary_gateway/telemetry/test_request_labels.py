"""Which errors have a label of their own."""

import pytest

from ostiary_core.mcp import codes
from ostiary_gateway.telemetry.request_labels import OTHER_ERROR, known_error


@pytest.mark.parametrize("name", [name for name, value in vars(codes).items() if type(value) is int and value < 0])
def test_every_code_that_has_a_name_here_is_told_apart(name: str) -> None:
    code = str(getattr(codes, name))
    assert known_error(code) == code


@pytest.mark.parametrize("value", ["-32043", "-31000", "-31008", "432", "505", "invented", "٤٠٤"])
def test_whatever_else_a_server_invents_is_one_kind(value: str) -> None:
    assert known_error(value) == OTHER_ERROR
