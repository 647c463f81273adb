import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.circuit_outcomes import CircuitOutcome, of_tool, of_transport

RESET = UpstreamFault(faults.RESET, "reset")
TIMEOUT = UpstreamFault(faults.TIMEOUT, "no answer within 1 s")
UNREACHABLE = UpstreamFault(faults.UNREACHABLE, "Connection refused")


def unavailable(status: int) -> UpstreamFault:
    """The fault of an HTTP error status."""
    return UpstreamFault(faults.UNAVAILABLE, f"HTTP {status}", http_status=status)


NO_OUTCOME = [
    faults.FULL,
    faults.NO_ROOM,
    faults.DRAINING,
    faults.BLOCKED,
    faults.CALLER_TOKEN_REQUIRED,
    faults.EXCHANGE_REFUSED,
    faults.CREDENTIAL_UNAVAILABLE,
    faults.ADDRESS_FORBIDDEN,
    faults.LOOP,
    faults.CIRCUIT_OPEN,
]


@pytest.mark.parametrize("kind", NO_OUTCOME)
def test_what_the_gateway_or_a_caller_refuses_is_no_outcome(kind: str) -> None:
    fault = UpstreamFault(kind, "refused")
    assert of_transport(fault, is_call=False) is of_transport(fault, is_call=True) is CircuitOutcome.NONE
    assert of_tool(fault) is CircuitOutcome.NONE


@pytest.mark.parametrize(
    ("fault", "is_call", "server", "tool"),
    [
        (UNREACHABLE, True, CircuitOutcome.FAILURE, CircuitOutcome.NONE),
        (RESET, True, CircuitOutcome.FAILURE, CircuitOutcome.FAILURE),
        (TIMEOUT, True, CircuitOutcome.UNCLEAR, CircuitOutcome.FAILURE),
        (TIMEOUT, False, CircuitOutcome.FAILURE, CircuitOutcome.FAILURE),
        (UpstreamFault(faults.INVALID, ""), True, CircuitOutcome.SUCCESS, CircuitOutcome.FAILURE),
        (UpstreamFault(faults.TOO_LARGE, ""), True, CircuitOutcome.SUCCESS, CircuitOutcome.NONE),
        (UpstreamFault(faults.UNAUTHORIZED, ""), True, CircuitOutcome.SUCCESS, CircuitOutcome.NONE),
        (UpstreamFault(faults.CREDENTIAL_REFUSED, ""), True, CircuitOutcome.SUCCESS, CircuitOutcome.NONE),
        (unavailable(429), True, CircuitOutcome.SUCCESS, CircuitOutcome.NONE),
        (unavailable(500), True, CircuitOutcome.UNCLEAR, CircuitOutcome.FAILURE),
        (unavailable(500), False, CircuitOutcome.UNCLEAR, CircuitOutcome.FAILURE),
        (unavailable(502), True, CircuitOutcome.FAILURE, CircuitOutcome.NONE),
        (unavailable(503), True, CircuitOutcome.FAILURE, CircuitOutcome.NONE),
        (unavailable(504), True, CircuitOutcome.UNCLEAR, CircuitOutcome.FAILURE),
        (unavailable(504), False, CircuitOutcome.FAILURE, CircuitOutcome.FAILURE),
    ],
)
def test_a_fault_counts_for_the_server_or_for_the_tool(
    fault: UpstreamFault, is_call: bool, server: CircuitOutcome, tool: CircuitOutcome
) -> None:
    assert of_transport(fault, is_call=is_call) is server
    assert of_tool(fault) is tool


@given(kind=st.sampled_from(sorted(faults.KINDS)), status=st.sampled_from([0, 400, 404, 429]), is_call=st.booleans())
def test_no_status_below_500_opens_the_circuit_of_a_server(kind: str, status: int, is_call: bool) -> None:
    fault = UpstreamFault(kind, "", http_status=status)
    fails = of_transport(fault, is_call=is_call) is CircuitOutcome.FAILURE
    transport = {faults.UNREACHABLE, faults.CONNECT_TIMEOUT, faults.TLS_FAILED, faults.EGRESS_FAILED, faults.RESET}
    assert fails == (kind in transport or (kind == faults.TIMEOUT and not is_call))
