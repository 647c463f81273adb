"""Trace context of any client, in headers and ``_meta``: of any type and size, never an error, never forwarded raw."""

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from messages import plain

from ostiary_gateway.telemetry import Telemetry, context

_ID = st.text(alphabet="0123456789abcdefABCDEF", max_size=33) | st.sampled_from(
    ["0" * 32, "1" * 32, "0" * 16, "2" * 16]
)
traceparents = st.one_of(
    st.builds(
        "{}{}-{}-{}-{}{}".format,
        st.sampled_from(["", " ", "\n"]),
        st.sampled_from(["00", "01", "ff", "FF"]),
        _ID,
        _ID,
        st.sampled_from(["00", "01", "ff", "1"]),
        st.sampled_from(["", " ", "\n", "-x", "\r\nX: y"]),
    ),
    st.just(f"00-{'1' * 32}-{'2' * 16}-01"),
    st.text(max_size=70),
)
members = st.builds(
    "{}={}".format,
    st.sampled_from(["a", "b@c", "1a", "1a@b", "A", "", "a b", "x" * 257]) | st.text(max_size=4),
    st.sampled_from(["1", "", "a=b", " x", "é", "\r\nX: y", "v" * 300, "\x00"]) | st.text(max_size=4),
)
tracestates = st.lists(members | st.sampled_from(["", " \t"]), max_size=40).map(",".join) | st.text(max_size=40)
anything = st.one_of(traceparents, tracestates, plain, st.binary(max_size=5), st.just("a=" + "x" * 10_000))

PARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[0-3]")
STATE = re.compile(r"(?:[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256}(?:,(?!$)|$))+")


@given(anything, anything)
def test_what_is_read_can_be_passed_on_and_what_cannot_is_not_read(traceparent: Any, tracestate: Any) -> None:
    parsed = context.parse(traceparent, tracestate)
    if parsed is None:
        return
    assert PARENT.fullmatch(parsed.traceparent())
    assert parsed.tracestate == "" or (STATE.fullmatch(parsed.tracestate) and len(parsed.tracestate) <= 512)
    again = context.parse(parsed.traceparent(), parsed.tracestate)
    assert again == parsed._replace(flags=parsed.flags & 3)


@given(tracestates)
def test_no_member_of_a_tracestate_is_changed_or_made_up(tracestate: str) -> None:
    kept = context.parse_tracestate(tracestate)

    sent = [part.strip(" \t") for part in tracestate.split(",")]
    members = kept.split(",") if kept else []
    assert [member for member in sent if member in members] == members
    assert len({member.partition("=")[0] for member in members}) == len(members) <= 32


carriers = st.dictionaries(st.sampled_from(["traceparent", "tracestate", "baggage", "progressToken", "x"]), anything)


@given(carriers, traceparents, tracestates)
def test_a_message_goes_out_with_our_context_whatever_it_came_with(
    meta: dict[str, Any], parent: str, state: str
) -> None:
    telemetry = Telemetry.disabled()
    others = {key: value for key, value in meta.items() if key in ("progressToken", "x")}
    server = telemetry.server_span(http_method="POST", traceparent=parent, tracestate=state)
    with server as span:
        span.message(method="tools/call", target="x", request_id=1, carrier_meta=meta)
        with span.client() as client:
            headers: dict[str, str] = {"Accept": "x", "baggage": "theirs"}
            client.inject(headers)
            client.inject(meta)

    for carrier in (headers, meta):
        assert "baggage" not in carrier
        assert PARENT.fullmatch(carrier.get("traceparent", f"00-{'1' * 32}-{'2' * 16}-01"))
        assert STATE.fullmatch(carrier.get("tracestate", "a=1"))
    assert {key: value for key, value in meta.items() if key in ("progressToken", "x")} == others
    assert headers["Accept"] == "x"
