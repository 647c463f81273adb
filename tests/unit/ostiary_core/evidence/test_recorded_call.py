"""Documents of calls and definitions, as a reader takes them from an address that another process may have."""

import pytest
from pydantic import ValidationError

from ostiary_core.evidence.definitions import DefinitionsDocument
from ostiary_core.evidence.recorded_call import CallOutcome, CallsDocument, RecordedCall

HEAD = {"replica": "gw-1", "gateway": "ostiary/default", "since": 1, "now": 2}


def test_a_call_without_anything_to_tell_is_short() -> None:
    call = RecordedCall(number=1, at=2, proxy="a/b")
    told = call.model_dump(by_alias=True, exclude_defaults=True)
    assert told == {"number": 1, "at": 2, "proxy": "a/b"}
    assert RecordedCall.model_validate(told) == call


def test_an_outcome_that_a_newer_gateway_knows_is_taken_as_its_word() -> None:
    call = RecordedCall.model_validate({"number": 1, "at": 2, "proxy": "a/b", "outcome": "postponed"})
    assert call.outcome == "postponed"
    assert RecordedCall(number=1, at=2, proxy="").outcome == CallOutcome.OK


@pytest.mark.parametrize(
    "hostile",
    [
        {"name": "x" * 257},
        {"proxy": 1},
        {"number": -1},
        {"durationMs": float("inf")},
        {"findings": ["x"] * 17},
        {"at": 2**60},
    ],
)
def test_a_call_that_no_gateway_sends_is_refused(hostile: dict[str, object]) -> None:
    call = {"number": 1, "at": 2, "proxy": "a/b", **hostile}
    with pytest.raises(ValidationError):
        CallsDocument.model_validate({**HEAD, "calls": [call]})


def test_more_calls_than_a_gateway_keeps_are_refused() -> None:
    with pytest.raises(ValidationError):
        CallsDocument.model_validate({**HEAD, "calls": [{"number": 1, "at": 2, "proxy": ""}] * 4097})


def test_definitions_are_objects() -> None:
    server = {"name": "s", "tools": [{"name": "t", "definition": {"name": "t", "inputSchema": {}}}, {"name": "u"}]}
    found = DefinitionsDocument.model_validate({**HEAD, "proxy": "a/b", "servers": [server]})
    assert [item.definition for item in found.servers[0].tools] == [{"name": "t", "inputSchema": {}}, None]
    with pytest.raises(ValidationError):
        DefinitionsDocument.model_validate(
            {**HEAD, "proxy": "a/b", "servers": [{"name": "s", "tools": [{"name": "t", "definition": "<html>"}]}]}
        )
