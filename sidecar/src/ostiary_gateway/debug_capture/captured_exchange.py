"""One exchange as a record: request, decision, response and duration.

It holds no header. What looks like a secret is replaced (:mod:`ostiary_core.redaction`), and so are the credentials of
this very request, in every text that repeats them.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from ostiary_core.content.record_masks import RecordMasks
from ostiary_core.redaction import DEFAULT
from ostiary_gateway.debug_capture.ring import CaptureRing

#: Characters of the arguments, and of a result or another message of the server.
ARGUMENTS_LIMIT: Final = 4_096
RESULT_LIMIT: Final = 8_192
_WORDS_LIMIT: Final = 300
_NAME_LIMIT: Final = 256
#: What of a request's params is not shown: it is for programs.
_HIDDEN_PARAMS: Final = frozenset({"_meta", "name", "uri", "arguments"})
#: A document of more bytes is not read again only to be shown.
READ_LIMIT: Final = 256 * 1024


def moment(seconds: float) -> str:
    """Return a time as RFC 3339 writes it, in milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class CapturedExchange:
    """One request while it is in flight.

    ``number`` names it within the proxy's capture; ``at`` is when it came, in epoch seconds. Without ``has_contents``
    only what surrounds arguments and results is kept. ``credentials`` are those of the caller, ``masks`` those of the
    proxy.
    """

    __slots__ = ("_at", "_fields", "_has_contents", "_is_finished", "_masks", "_number", "_own", "_redactor", "_ring")

    def __init__(
        self,
        ring: CaptureRing,
        *,
        number: int,
        at: float,
        has_contents: bool,
        credentials: Iterable[str] = (),
        masks: RecordMasks | None = None,
    ) -> None:
        self._ring = ring
        self._masks = masks
        self._number = number
        self._at = at
        self._has_contents = has_contents
        self._own = self._redactor = DEFAULT.without(credentials)
        self._fields: dict[str, Any] = {}
        self._is_finished = False

    @property
    def is_refused(self) -> bool:
        """Whether the gateway itself responded."""
        return "refusal" in self._fields

    def hide(self, credentials: Iterable[str]) -> None:
        """Replace these texts, too, in what follows: the credentials that were sent to the server."""
        self._redactor = self._own.without(credentials)

    def asks(
        self,
        message: str,
        *,
        identifier: object = None,
        method: str = "",
        name: str = "",
        params: Mapping[str, Any] | None = None,
    ) -> None:
        """Take what the caller sent.

        ``message`` is ``request``, ``notification``, ``response`` or ``stream``.
        """
        fields = self._fields
        fields["message"] = message
        fields |= self._identified(identifier)
        if method:
            fields["method"] = self._text(method)
        if name:
            fields["name"] = self._text(name)
        if params is None:
            return
        if "arguments" in params:
            self._put("arguments", params["arguments"], ARGUMENTS_LIMIT)
        if shown := {key: value for key, value in params.items() if key not in _HIDDEN_PARAMS}:
            self._put("params", shown, ARGUMENTS_LIMIT)

    def answers(self, message: Mapping[str, Any]) -> None:
        """Take the response to the request, or a response that the caller sends."""
        for member in ("result", "error"):
            if member in message:
                self._put(member, message[member], RESULT_LIMIT)

    def answers_text(self, text: bytes) -> None:
        """Take a response as its bytes: a list, which is filtered without being parsed."""
        message = _read(text)
        if message is None:
            self._cut("result")
        else:
            self.answers(message)

    def sends(self, text: bytes, *, at: float) -> None:
        """Keep a message of the server in the stream of this request.

        It is a notification, or a request to the caller. A stream that was resumed repeats responses, too. What is too
        large to be read is kept without its contents.
        """
        message = _read(text) or {}
        method = message.get("method")
        kind = "response" if method is None else "request" if "id" in message else "notification"
        record: dict[str, Any] = {
            "kind": "ServerMessage",
            "exchange": self._number,
            "at": moment(at),
            "direction": "ServerToClient",
            "message": kind,
            **self._identified(message.get("id")),
            **({"method": self._text(method)} if isinstance(method, str) else {}),
        }
        for member in ("params", "result", "error") if self._has_contents else ():
            if member in message:
                record[member], is_cut = self._shown(_without_meta(message[member]), RESULT_LIMIT)
                record |= {"cut": [member]} if is_cut else {}
        self._ring.add(record if message else record | {"cut": ["params"]})

    def decided(self, *, allowed: bool, policy: str, rule: str, reason: str) -> None:
        """Take the first decision of the policies; names are empty where none decided."""
        named = {"policy": policy, "rule": rule, "reason": reason}
        decision = {"effect": "Allow" if allowed else "Deny"}
        self._fields.setdefault("decision", decision | {key: value for key, value in named.items() if value})

    def refused(self, *, code: int | None, reason: str, message: str) -> None:
        """Take a response of the gateway itself."""
        refusal = {"reason": reason, "message": self._text(message)}
        self._fields["refusal"] = refusal | ({"code": code} if code is not None else {})

    def finish(
        self, *, outcome: str, caller: str, seconds: float, trace_id: str, status: int = 0, error: str = ""
    ) -> None:
        """Keep the record of the exchange.

        ``outcome`` is one word, ``error`` the type of what failed.
        """
        if self._is_finished:
            return
        self._is_finished = True
        self._ring.add(
            {
                "kind": "Exchange",
                "exchange": self._number,
                "at": moment(self._at),
                "direction": "ClientToServer",
                **self._fields,
                "outcome": outcome,
                "caller": caller,
                "durationMs": round(seconds * 1000, 3),
                **({"status": status} if status else {}),
                **({"errorType": error} if error else {}),
                **({"traceId": trace_id} if trace_id else {}),
            }
        )

    def _identified(self, identifier: object) -> dict[str, Any]:
        """Return the id of a message as a field.

        A request of the server and the response of the caller have the same.
        """
        if isinstance(identifier, str):
            return {"id": self._text(identifier)}
        return {"id": identifier} if type(identifier) is int and abs(identifier) < 1 << 53 else {}

    def _text(self, text: str) -> str:
        shown = self._masks.text(text, limit=_NAME_LIMIT) if self._masks is not None else text
        return self._redactor.text(shown, limit=_NAME_LIMIT)

    def _shown(self, value: Any, limit: int) -> tuple[Any, bool]:
        """Return a masked and redacted copy of a value, and whether it was cut."""
        if self._masks is None:
            return self._redactor.value(value, limit=limit)
        masked, was_cut = self._masks.value(value, limit=limit)
        shown, is_cut = self._redactor.value(masked, limit=limit)
        return shown, is_cut or was_cut

    def _put(self, member: str, value: Any, limit: int) -> None:
        if not self._has_contents:
            return
        self._fields[member], is_cut = self._shown(value, limit)
        if is_cut:
            self._cut(member)

    def _cut(self, member: str) -> None:
        self._fields.setdefault("cut", []).append(member)


def _read(text: bytes) -> dict[str, Any] | None:
    """Return a message, unless it is too large to be read again, or no object."""
    try:
        message = orjson.loads(text) if len(text) <= READ_LIMIT else None
    except orjson.JSONDecodeError:
        return None
    return message if isinstance(message, dict) else None


def _without_meta(value: Any) -> Any:
    return {key: item for key, item in value.items() if key != "_meta"} if isinstance(value, dict) else value
