"""Sends messages to one server for one caller, besides the request that it has sent.

A bridged call needs several requests at its server: the call, responses to what the server asks, a cancellation. They
carry the caller's credential, as it was last presented.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.message_members import invalid
from ostiary_gateway.pipeline.passed_on_credential import passed_on
from ostiary_gateway.pipeline.pinned_sessions.session_endpoint import endpoint_of
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.caller import UpstreamCaller
from ostiary_gateway.upstream.http1 import request_head as http1
from ostiary_gateway.upstream.http1.request_head import Transmission
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse
from ostiary_gateway.upstream.server import UpstreamServer

_NONE: Final = SecretBytes(b"")


@dataclass(frozen=True, slots=True)
class ServerLink:
    """One server, and what a caller is known by there.

    ``caller`` is None where the credential does not depend on it; ``passed_on`` is its own credential, where that is
    sent to the server (passthrough). ``passed`` are the proxies that its request has passed.
    """

    server: UpstreamServer
    caller: UpstreamCaller | None
    passed_on: SecretBytes
    passed: Sequence[str]

    @classmethod
    def of(cls, exchange: Exchange, server: UpstreamServer) -> "ServerLink":
        """Return the link of the caller of an exchange to a server."""
        given = passed_on(exchange, server)
        return cls(
            server,
            exchange.upstream_caller if server.needs_caller else None,
            _line(given) if given is not None else _NONE,
            exchange.passed,
        )

    def with_credential_of(self, authorization: str) -> "ServerLink":
        """Return the same link with the credential that the caller has presented since."""
        token = SecretBytes(authorization.partition(" ")[2].strip(" ").encode("utf-8", "replace"))
        caller = replace(self.caller, token=token) if self.caller is not None and self.caller.token else self.caller
        passed_on = _line(authorization) if self.passed_on.reveal() else _NONE
        return replace(self, caller=caller, passed_on=passed_on)

    async def send(
        self,
        http_method: str,
        message: dict[str, Any] | None,
        session: UpstreamSession,
        *,
        context: bytes = b"",
        repeatable: bool = False,
        transmission: Transmission | None = None,
    ) -> UpstreamResponse:
        """Send a message in a session, and return the response, whose head has not been judged.

        ``context`` are the lines of the trace context.

        Raises:
            UpstreamFault: it cannot be sent, or there is no response.
            Refusal: the message cannot be written.
        """
        headers = {"Mcp-Session-Id": session.upstream_id} if session.upstream_id else {}
        lines = http1.lines({**headers, "MCP-Protocol-Version": session.revision}) + self.passed_on.reveal() + context
        return await self.server.request(
            http_method,
            lines,
            _written(message) if message is not None else None,
            passed=self.passed,
            repeatable=repeatable,
            caller=self.caller,
            transmission=transmission,
            endpoint=endpoint_of(self.server, session.endpoint),
        )

    async def tell(self, message: dict[str, Any], session: UpstreamSession) -> int:
        """Send what has no response, and return the HTTP status.

        Raises:
            UpstreamFault: see :meth:`send`.
        """
        response = await self.send("POST", message, session)
        response.close()
        return response.status

    async def end_session(self, session: UpstreamSession) -> None:
        """Tell the server that a session is over.

        Raises:
            UpstreamFault: see :meth:`send`.
        """
        (await self.send("DELETE", None, session)).close()


def _line(authorization: str) -> SecretBytes:
    try:
        return SecretBytes(http1.private_line("Authorization", authorization))
    except UpstreamFault as fault:  # an invalid header of the caller is not a fault of the server
        raise faults.refusal(fault) from fault


def _written(message: dict[str, Any]) -> bytes:
    try:
        return strict_json.dumps(message)
    except StrictJSONError as error:
        raise invalid(f"The message cannot be forwarded: {error}") from None
