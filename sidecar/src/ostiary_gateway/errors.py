"""The errors of the gateway, as a tree.

OstiaryError (core)
├── Refusal               the request ends here, with an answer to its sender   (see pipeline/jsonrpc.py)
├── UpstreamFault         the upstream failed; the forward stage turns it into a Refusal
├── AttemptFailed         an attempt at an upstream failed, and another one follows
├── InputAsked            a server asks for input before it responds; the bridge between eras goes on
├── CallerGone            the caller disconnected, or sends what cannot be read: no answer is possible
├── StartupError          the process cannot start; the message says what to change
├── ConfigUnavailable     a source cannot be read now; the last good config stays in force
│   └── ApiForbidden          the Kubernetes API refuses it: the gateway lacks the right
├── ConfigIncomplete      a config names documents that have not arrived; the last good one stays in force until then
├── CredentialMissing     a document names a credential that has not arrived; the last good version stays in force
└── RevisionAhead         a config's revision is far ahead of the clock; the last good one stays in force
"""

from typing import Any

from ostiary_core.errors import OstiaryError


class Refusal(OstiaryError):
    """An answer of the gateway in place of the upstream's.

    ``status`` is the HTTP status. With a ``code`` the body is a JSON-RPC error, and ``reason`` goes into its data
    unless ``silent``; without one the body is a small JSON object. ``close`` ends the connection with the answer.
    A ``result`` replaces the JSON-RPC error in the answer: then ``code`` and ``reason`` are for our telemetry only.
    Nothing here may hold policy or rule names, config or tokens: the answer goes to the caller.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        code: int | None = None,
        data: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        silent: bool = False,
        close: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.code = code
        self.headers = headers or {}
        self.close = close
        self.result: dict[str, Any] | None = None
        #: The policy (``namespace/name``) and its limit that refused the request. Only our records name them.
        self.limit: tuple[str, str] | None = None
        self.data = None if silent else {"reason": reason, **(data or {})}


class UpstreamFault(OstiaryError):
    """The upstream failed.

    ``kind`` is one of the reasons of :mod:`ostiary_gateway.upstream.faults`. ``of_caller`` where other callers of the
    server need not have it: it depends on a credential that is made for one caller. ``http_status`` is the HTTP status
    that the upstream answered with instead of a message; 0 without one.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        retry_after_ms: int | None = None,
        of_caller: bool = False,
        http_status: int = 0,
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        #: Whether a kept connection ended before a byte of the response: its server may have closed it just then.
        self.of_idle_connection = False
        #: Address and port of the endpoint that failed, where the server has several.
        self.peer: tuple[str, int] | None = None
        self.of_caller = of_caller
        self.kind = kind
        self.message = message
        self.retry_after_ms = retry_after_ms


class AttemptFailed(OstiaryError):
    """An attempt to send a request failed, and another one follows in ``seconds``."""

    def __init__(self, fault: UpstreamFault, seconds: float) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.seconds = seconds


class InputAsked(OstiaryError):
    """A modern server needs input of a legacy client before it responds.

    ``result`` is its result of the type ``input_required``.
    """

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__("the server asks for input")
        self.result = result


class CallerGone(OstiaryError):
    """The caller disconnected while we read from it or wrote to it."""


class StartupError(OstiaryError):
    """The process cannot start; the message names the option or file and the remedy."""


class ConfigUnavailable(OstiaryError):
    """A config source cannot be read now. The config itself is not at fault."""


class ApiForbidden(ConfigUnavailable):
    """The gateway has no right to read an object of the Kubernetes API."""


class ConfigIncomplete(OstiaryError):
    """A config names a document that is in none of its parts yet.

    Parts arrive one by one, in any order.
    """


class CredentialMissing(OstiaryError):
    """A document names a credential that is not in the gateway's Secret yet.

    It arrives apart from the documents. The entry is checked again with every change of the keys.
    """


class RevisionAhead(OstiaryError):
    """A config's revision is in the future.

    In force, it would stay for ever: no later one could replace it.
    """


def port_taken(what: str, host: str, port: int, error: OSError, *, option: str) -> StartupError:
    """Return the error of a port that cannot be listened on.

    ``option`` names the option for another port.
    """
    return StartupError(
        f"{what}: cannot listen on {host}:{port} ({error.strerror or error}). Is something else running there? "
        f"Choose another with {option}."
    )
