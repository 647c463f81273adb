"""Arguments and results in a record.

They are left out, or shown as a digest, redacted, or as they are, with a limit of their size.
"""

import hmac
from collections.abc import Callable
from typing import Any, Final

import jiter
import orjson

from ostiary_core.canonical import canonical
from ostiary_core.content.record_masks import RecordMasks
from ostiary_core.mcp.methods import METHODS
from ostiary_core.redaction import VERBATIM, Redactor
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.audit.audit_events import RequestEvent
from ostiary_gateway.audit.audit_queue import OMITTED

_ALGORITHM: Final = "hmac-sha256"
#: Lists whose number of items is remembered.
_LISTS: Final = 16


class ContentEncoder:
    """Adds the content of requests and responses to records.

    ``key`` returns the HMAC key for digests, None while there is none.
    """

    def __init__(self, *, key: Callable[[], SecretBytes | None], redactor: Redactor) -> None:
        self.redactor = redactor
        self._key = key
        self._lists: dict[int, tuple[bytes, int | None]] = {}

    def added(self, members: dict[str, Any], event: RequestEvent, *, limit: int) -> dict[str, Any]:
        """Return the members of a record with ``request``, and with the result in ``response``.

        ``limit`` is in bytes, for each of them; 0 shows nothing.
        """
        sent: dict[str, Any] = {"bytes": event.sizes[0]}
        if event.arguments is not None:
            sent.update(self._shown("arguments", event.arguments, event.plan.arguments, limit, event.masks))
        if "response" not in members:
            return {**members, "request": sent}
        received = dict(members["response"])
        result = event.result
        if event.shown:
            result, count = self._list(event)
            if count is not None:
                received["items"] = count
        if result is not None:
            received.update(self._shown("result", result, event.plan.results, limit, event.masks))
        return {**members, "request": sent, "response": received}

    def _list(self, event: RequestEvent) -> tuple[Any, int | None]:
        """Return the result of a list, and how many items it has.

        The same list often passes many times.
        """
        known = self._lists.get(id(event.shown))
        if known is not None and known[0] is event.shown and event.plan.results == "None":
            return None, known[1]
        try:
            message = jiter.from_json(event.shown)
        except ValueError:
            return None, None
        result = message.get("result") if isinstance(message, dict) else None
        items = result.get(METHODS[event.method].list_key) if isinstance(result, dict) else None
        count = len(items) if isinstance(items, list) else None
        if len(self._lists) >= _LISTS:
            self._lists.clear()
        self._lists[id(event.shown)] = (event.shown, count)
        return result, count

    def _shown(self, name: str, value: Any, how: str, limit: int, masks: RecordMasks | None) -> dict[str, Any]:
        if value is OMITTED:
            return {f"{name}Omitted": "QueueFull"}
        if how == "Digest":
            return self._digest(name, value)
        if how not in {"Redacted", "Full"}:
            return {}
        if not limit:
            return {f"{name}Truncated": True}
        redactor = self.redactor if how == "Redacted" else VERBATIM
        shown, was_cut = masks.value(value, limit=limit) if masks is not None else (value, False)
        text, is_cut = redactor.json(shown, limit=limit)
        if not (is_cut or was_cut):
            return {name: orjson.Fragment(text)}
        return {name: text.decode(), f"{name}Truncated": True}

    def _digest(self, name: str, value: Any) -> dict[str, Any]:
        key = self._key()
        if key is None:
            return {f"{name}Omitted": "NoKey"}
        try:
            text = canonical(value)
        except TypeError:  # a server's number beyond 64 bits, or nesting beyond what can be written
            return {f"{name}Omitted": "NotCanonical"}
        return {f"{name}Digest": f"{_ALGORITHM}:{hmac.digest(key.reveal(), text, 'sha256').hex()}"}
