"""Templates of records: most records differ from earlier ones in a few members only.

A template is the text of a record with places for what is different in each. What a caller or a
server chose is in its key, so it is encoded once.
"""

from collections.abc import Hashable
from typing import Any, Final, NamedTuple

import orjson

from ostiary_gateway.audit.audit_events import RequestEvent

#: Templates that are kept: about 2 MiB at most, since names are the caller's own.
_MOST: Final = 1024
#: The longest texts of a caller in a key.
_NAME: Final = 256
_SHORT: Final = 64


#: The forms of the values that fill a template, by place and in their order.
_FORMS: Final = (
    '"%s%06dZ"',
    '"%08x-%04x-7%03x-%s-%012x"',
    '"%s%06dZ"',
    "%s",
    "%s",
    "%s",
    '"%s"',
    "%s",
    '"%s"',
    '"%s"',
    "%r",
    "%d",
    "%d",
)
#: The form of a value that a template has no place for.
_NOWHERE: Final = "%.0s"


class RecordTemplate(NamedTuple):
    """The text of records with the same :func:`key_of`, with a place for each value.

    The places are, in this order: time of the stage (second and microseconds), id (its five numbers), time of the
    request, user (JSON), addresses (JSON), id in the message (JSON), digest of the session, user agent (JSON), ids of
    trace and span, milliseconds, bytes of the response and of the request. The first five are in each record.
    ``kept`` are the objects whose identities are in the key.
    """

    text: str
    kept: tuple[Any, ...]


def key_of(event: RequestEvent) -> Hashable | None:
    """Return what events with the same template have in common; None for one that needs none.

    An event with content of messages, or with findings, is encoded as a whole.
    """
    # Unpacked at once: it is part of every record.
    # fmt: off
    (plan, stage, _, _, _, _, _, agent, http_method, method, name, request_id, protocol, session, decision, shadow,
     limit, refusal, error, code, shown, dropped, _, arguments, result, client, trace, revision, round_,
     findings, masks) = event
    # fmt: on
    if arguments is not None or result is not None or shown or findings is not None or len(name) > _NAME:
        return None
    if len(protocol) > _SHORT or len(http_method) > _SHORT:
        return None
    if client is not None:
        client = client_key(client)
        if client is None:
            return None
    trace_id, _, sampled = trace
    # fmt: off
    return (
        id(plan), id(decision), stage, method, name, protocol, revision, error, code, http_method, request_id is None,
        session is None, not agent, not trace_id, sampled, id(shadow), limit, refusal, dropped, client,
        round_, id(masks),
    )
    # fmt: on


def client_key(client: Any) -> tuple[str, str] | None:
    """Return the texts that a record shows of a client; None where they are none, or long."""
    if type(client) is not dict:
        return None
    name, version = client.get("name"), client.get("version")
    if type(name) is not str or type(version) is not str or max(len(name), len(version)) > _SHORT:
        return None
    return name, version


class RecordTemplates:
    """The templates of one process, by :func:`key_of`. One thread owns them."""

    def __init__(self) -> None:
        #: The templates that there are.
        self.known: dict[Hashable, RecordTemplate] = {}

    def keep(self, key: Hashable, template: RecordTemplate) -> None:
        """Keep a template."""
        if len(self.known) >= _MOST:
            self.known.clear()
        self.known[key] = template


def place(number: int) -> orjson.Fragment:
    """Return what stands in a record for one of the values that fill its template."""
    return orjson.Fragment(_mark(number))


def _mark(number: int) -> bytes:
    return b"\x00%d\x00" % number  # JSON has no such character


def text_with_places(record: bytes) -> str:
    """Return the text of a template, from a record with each :func:`place` that it shows."""
    rest, parts = record.decode().replace("%", "%%"), []
    for number, form in enumerate(_FORMS):
        before, found, after = rest.partition(_mark(number).decode())
        parts += [before, form] if found else [_NOWHERE]
        rest = after if found else rest
    return "".join((*parts, rest))
