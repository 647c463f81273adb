"""The ``requestState`` that a caller gets, and sends back with its answer.

See Multi Round-Trip Requests of 2026-07-28. It is sealed, so that a caller can neither read nor make nor change one. It
opens only for the principal that got it, at its proxy, within its time, for the same method and params. It holds where
a call is parked, or a modern server's own state, which that server alone gets back.
"""

import enum
import hashlib
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ostiary_core.canonical import canonical
from ostiary_core.upstream_faults import TOO_LARGE
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.continuations.continuation_errors import invalid_state
from ostiary_gateway.pipeline.continuations.handle import Handle, Owner, pack, unpack
from ostiary_gateway.seal import REQUEST_STATE, Sealer

#: The longest state of a server that can be sealed, in bytes.
LONGEST: Final = 256 * 1024
#: The members of params that differ between the rounds of one request.
_OF_ROUNDS: Final = frozenset({"_meta", "inputResponses", "requestState"})
_EXPIRES: Final = struct.Struct(">Q")
#: Between the name of a server, which is a DNS label, and the key of its endpoint.
_AT: Final = "@"
#: The time of expiry stands in the state itself.
_ANY_AGE: Final = float("inf")


class StateKind(enum.Enum):
    """What a state holds."""

    PARKED = b"p"  # the handle of a call that is parked in a replica
    OF_SERVER = b"s"  # the state of a modern server, as it sent it


@dataclass(frozen=True, slots=True)
class CallState:
    """The content of a state: which server it belongs to, and what it holds.

    ``endpoint`` is the key of the endpoint that sent it, which others may be unable to read; empty where the server has
    one place only.
    """

    kind: StateKind
    server: str
    content: bytes
    endpoint: bytes = b""

    @property
    def handle(self) -> Handle:
        """Where the call is parked."""
        return Handle.unpacked(self.content)

    @property
    def of_server(self) -> str:
        """The state of the server."""
        return self.content.decode()


def request_digest(method: str, params: Mapping[str, Any]) -> bytes:
    """Return what a state is bound to of its request.

    The method, and the params that all rounds share.
    """
    kept = {name: each for name, each in params.items() if name not in _OF_ROUNDS}
    return hashlib.sha256(canonical([method, kept])).digest()


class RequestStates:
    """Seals and opens states. ``clock`` returns epoch seconds."""

    def __init__(self, sealer: Sealer, *, clock: Callable[[], float] = time.time) -> None:
        self._sealer = sealer
        self._clock = clock

    def seal_parked(self, handle: Handle, *, server: str, digest: bytes, owner: Owner, seconds: float) -> str:
        """Return the state of a parked call.

        Raises:
            Refusal: there is no key yet.
        """
        return self._sealed(StateKind.PARKED, handle.packed(), server, digest, owner, seconds)

    def seal_of_server(
        self, state: str, *, server: str, digest: bytes, owner: Owner, seconds: float, endpoint: bytes = b""
    ) -> str:
        """Return a modern server's own state as its caller gets it.

        ``endpoint`` is the key of the endpoint that sent it. A replica that knows no endpoints refuses such a state.

        Raises:
            UpstreamFault: it is too long.
            Refusal: there is no key yet.
        """
        content = state.encode("utf-8", "surrogatepass")
        if len(content) > LONGEST:
            words = f"its requestState has {len(content)} bytes, and at most {LONGEST} can be sealed"
            raise UpstreamFault(TOO_LARGE, words)
        named = f"{server}{_AT}{endpoint.hex()}" if endpoint else server
        return self._sealed(StateKind.OF_SERVER, content, named, digest, owner, seconds)

    def open(self, state: Any, *, digest: bytes, owner: Owner) -> CallState:
        """Return the content of a state that a caller sends.

        ``digest`` is that of the request with which it comes.

        Raises:
            Refusal: it was altered, has expired, or is of another caller, proxy or request.
        """
        plain = self._opened(state, owner) if isinstance(state, str) else None
        if plain is None:
            raise invalid_state()
        kind, expires, server, bound_to, content = unpack(plain)
        if bound_to != digest or _EXPIRES.unpack(expires)[0] < self._clock():
            raise invalid_state()
        name, _, endpoint = server.decode().partition(_AT)
        return CallState(StateKind(kind), name, content, bytes.fromhex(endpoint))

    def _opened(self, state: str, owner: Owner) -> bytes | None:
        return self._sealer.open(
            REQUEST_STATE, state, proxy_uid=owner.proxy_uid, principal=owner.principal, max_age=_ANY_AGE
        )

    def _sealed(self, kind: StateKind, content: bytes, server: str, digest: bytes, owner: Owner, seconds: float) -> str:
        expires = _EXPIRES.pack(int(self._clock() + seconds))
        plain = pack(kind.value, expires, server.encode(), digest, content)
        return self._sealer.seal(REQUEST_STATE, plain, proxy_uid=owner.proxy_uid, principal=owner.principal)
