import json

import pytest

from ostiary_operator.console.call_positions import parameter, position, positions


def test_a_position_is_opened_for_its_replica_alone() -> None:
    sealed = position("team/gateway/gw-0", 90_001)

    assert positions(json.dumps({"team/gateway/gw-0": sealed})) == {"team/gateway/gw-0": 90_001}
    assert positions(json.dumps({"team/gateway/gw-1": sealed})) == {}


def test_two_positions_do_not_say_whether_anything_was_called_between_them() -> None:
    assert parameter({"gw-0": 7}) != parameter({"gw-0": 7})


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[]", '{"gw": 1}', '{"gw": "1"}', '{"gw": "\u00e4"}', '{"gw": true}', "[" * 10_000]
)
def test_what_was_not_sealed_here_is_no_position(text: str) -> None:
    assert positions(text) == {}


def test_positions_are_bounded() -> None:
    many = {f"gw-{number}": number for number in range(33)}

    assert len(positions(parameter(many))) == 32
    assert positions(json.dumps({source: position(source, number) for source, number in many.items()})) == {}
