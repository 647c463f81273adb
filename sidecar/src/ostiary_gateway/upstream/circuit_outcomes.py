"""What the end of a request says of the circuits of its server and its tool.

A JSON-RPC error and a result with ``isError`` are answers: an agent may need the tool to recover. What a caller or the
gateway itself ends or refuses is no outcome at all. A response that is too large is neither: the caller may have asked
for it.
"""

from enum import Enum
from typing import Final

from ostiary_core.upstream_faults import GATEWAY_ERRORS, NO_CONNECTION
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults

_GATEWAY_TIMEOUT: Final = 504
_SERVER_ERROR: Final = 500
#: Kinds of fault of the connection: there is no answer.
TRANSPORT: Final = NO_CONNECTION | {faults.RESET}
#: Kinds with which the server has answered, though not as asked.
_ANSWERED: Final = frozenset(
    {
        faults.INVALID,
        faults.TOO_LARGE,
        faults.UNAUTHORIZED,
        faults.CREDENTIAL_REFUSED,
        faults.HOST_REFUSED,
        faults.REDIRECTED,
        faults.UNAVAILABLE,
    }
)


class CircuitOutcome(Enum):
    """What a request says of a circuit.

    ``UNCLEAR`` counts only as the outcome of a trial, which it fails.
    """

    SUCCESS = 1
    FAILURE = 2
    UNCLEAR = 3
    NONE = 4


def of_transport(fault: UpstreamFault, *, is_call: bool) -> CircuitOutcome:
    """Return what a fault says of the circuit of its server.

    That a call of a tool gets no answer may be due to the tool alone.
    """
    kind, status = fault.kind, fault.http_status
    if kind in TRANSPORT:
        return CircuitOutcome.FAILURE
    if kind == faults.TIMEOUT or (status == _GATEWAY_TIMEOUT and is_call):
        return CircuitOutcome.UNCLEAR if is_call else CircuitOutcome.FAILURE
    if kind == faults.UNAVAILABLE and status >= _SERVER_ERROR:
        return CircuitOutcome.FAILURE if status in GATEWAY_ERRORS else CircuitOutcome.UNCLEAR
    return CircuitOutcome.SUCCESS if kind in _ANSWERED else CircuitOutcome.NONE


def of_tool(fault: UpstreamFault) -> CircuitOutcome:
    """Return what a fault says of the circuit of the tool that was called."""
    kind, status = fault.kind, fault.http_status
    is_no_answer = status == _GATEWAY_TIMEOUT or (status >= _SERVER_ERROR and status not in GATEWAY_ERRORS)
    if kind in (faults.TIMEOUT, faults.INVALID, faults.RESET) or (kind == faults.UNAVAILABLE and is_no_answer):
        return CircuitOutcome.FAILURE
    return CircuitOutcome.NONE
