"""The id of an event says which server resumes its stream, and whose request that is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.pipeline.merged_sessions.event_ids import (
    EventIds,
    ResumedEvent,
    StreamOf,
    resumed_event,
    stream_of,
)

VISIBLE = st.text(alphabet=[chr(code) for code in range(0x21, 0x7F)], min_size=1, max_size=100)
IDS = st.one_of(st.integers(min_value=-(2**63), max_value=2**63), st.text(max_size=40))


@given(IDS, st.none() | IDS, VISIBLE)
def test_an_event_id_leads_back_to_its_server_and_request(
    identifier: str | int, token: str | int | None, own: str
) -> None:
    stream = StreamOf(identifier, token)
    exposed = EventIds("crm", stream)(own.encode())

    assert exposed is not None
    assert all(0x21 <= byte <= 0x7E for byte in exposed)
    assert resumed_event(exposed.decode()) == ResumedEvent("crm", stream, own)


@pytest.mark.parametrize("own", [b"", b"a b", b"\0", "é".encode(), b"x" * 1025])
def test_an_id_that_no_header_could_carry_is_dropped(own: bytes) -> None:
    assert EventIds("crm", StreamOf(1))(own) is None


def test_a_stream_of_a_request_with_an_absurd_id_cannot_be_resumed() -> None:
    assert EventIds("crm", StreamOf("x" * 4000))(b"1") is None


@given(st.text(max_size=60))
def test_any_other_text_is_no_id_of_an_event(text: str) -> None:
    found = resumed_event(text)

    assert found is None or EventIds(found.server, found.stream)(found.own.encode()) is not None


@pytest.mark.parametrize(
    "text", ["", "crm", "crm.1", "crm..", ".WzEsMV0.1", "crm.!!.1", "crm.e30.1", "crm.W10.1", "crm.WzEuNSwxXQ.1"]
)
def test_ids_of_other_forms_lead_nowhere(text: str) -> None:
    assert resumed_event(text) is None


def test_an_event_of_a_stream_that_belongs_to_no_request_says_so() -> None:
    exposed = EventIds("crm", None)(b"7")

    assert exposed == b"crm..7"
    assert resumed_event("crm..7") == ResumedEvent("crm", None, "7")


def test_the_stream_of_a_message_is_that_of_its_id_and_progress_token() -> None:
    body = {"id": 1, "params": {"_meta": {"progressToken": "t"}}}

    assert stream_of(body) == StreamOf(1, "t")
    assert stream_of({"id": "a", "params": {"_meta": {"progressToken": 1.5}}}) == StreamOf("a")
    assert stream_of({"method": "notifications/initialized"}) is None
