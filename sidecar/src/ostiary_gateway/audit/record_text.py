"""Texts in records: JSON without characters that terminals obey, also those that it allows."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from ostiary_core.audit.record_layout import KINDS, head_of
from ostiary_gateway.audit.record_members import SHORT, TEXT, text_of

#: Addresses and user agents that are remembered encoded.
_REMEMBERED: Final = 1024
#: Characters that JSON need not escape and that terminals obey: C1 and DEL, line separators, bidirectional controls.
_CONTROLS: Final = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


def json_of(value: Any) -> str:
    """Return a value as JSON without characters that terminals obey."""
    text = orjson.dumps(value).decode()
    return text if text.isascii() and "\x7f" not in text else _CONTROLS.sub(_escaped, text)


def identifier_of(request_id: str | int | None) -> str:
    """Return the id of a message as JSON, cut; nothing without one."""
    if type(request_id) is not str:
        return f'"{request_id}"' if request_id is not None else ""
    is_plain = request_id.isalnum() and request_id.isascii() and len(request_id) <= SHORT
    return f'"{request_id}"' if is_plain else json_of(text_of(request_id, SHORT))


@lru_cache(maxsize=_REMEMBERED)
def addresses_of(address: str) -> str:
    """Return the member ``sourceIPs``, remembered."""
    return json_of([address]) if address else "[]"


@lru_cache(maxsize=_REMEMBERED)
def agent_of(agent: str) -> str:
    """Return a user agent as JSON, remembered."""
    return json_of(text_of(agent, TEXT))


_HEADS: Final = {kind: head_of(kind) for kind in KINDS}


def record(kind: str, members: Mapping[str, Any]) -> bytes:
    """Return a record of a kind as one line of JSON without its end."""
    text = _HEADS[kind] + orjson.dumps(members)[1:]
    return text if text.isascii() and b"\x7f" not in text else _CONTROLS.sub(_escaped, text.decode()).encode()


def _escaped(found: "re.Match[str]") -> str:
    return f"\\u{ord(found[0]):04x}"
