"""The errors of the gateway, as a tree.

OstiaryError (core)
├── Refusal               a request ends here, with an answer for its sender   (see line/refusals.py for the kinds)
├── UpstreamFault         the upstream did not do its part; becomes a Refusal at the forward station
├── CallerGone            the caller went away, or sends what cannot be read: there is nobody to answer
├── StartupError          the process cannot start; the message says what to change
├── ConfigUnavailable     a source could not be read now; the last good config stays
├── ConfigIncomplete      a config names what has not arrived yet; the last good one stays until it has
└── RevisionAhead         a config's revision lies far ahead of the clock; the last good one stays
"""

from typing import Any

from ostiary_core.errors import OstiaryError


class Refusal(OstiaryError):
    """An answer in place of the upstream's.

    ``status`` is the HTTP status. With a ``code`` the body is a JSON-RPC error, and ``reason`` goes into its data
    unless ``silent``; without one the body is a small JSON object. ``close`` ends the connection with the answer.
    A ``result`` is told in place of the JSON-RPC error: then ``code`` and ``reason`` are for our own evidence only.
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
        self.data = None if silent else {"reason": reason, **(data or {})}


class UpstreamFault(OstiaryError):
    """The upstream failed; ``kind`` is one of the reasons of :mod:`ostiary_gateway.upstream.faults`."""

    def __init__(self, kind: str, message: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after_ms = retry_after_ms


class CallerGone(OstiaryError):
    """The caller went away while we read from him or wrote to him."""


class StartupError(OstiaryError):
    """The process cannot start; the message names the option or file and the remedy."""


class ConfigUnavailable(OstiaryError):
    """A config source cannot be read at the moment. Not a fault of the config."""


class ConfigIncomplete(OstiaryError):
    """A config names a document that lies in none of its parts yet: they arrive one by one, and in no order."""


class RevisionAhead(OstiaryError):
    """A config says that it is of the future. In force, it would stay for ever: no later one could overtake it."""


def port_taken(what: str, host: str, port: int, error: OSError, *, option: str) -> StartupError:
    """Return the error of a port that cannot be listened on; ``option`` is how to choose another."""
    return StartupError(
        f"{what}: cannot listen on {host}:{port} ({error.strerror or error}). Is something else running there? "
        f"Choose another with {option}."
    )
