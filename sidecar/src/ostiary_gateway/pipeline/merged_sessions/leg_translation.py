"""What a message of one of several servers becomes for the caller.

:class:`~ostiary_gateway.pipeline.leg.Translation`.

URIs are those of the catalogue (:mod:`ostiary_gateway.catalogue.exposed_content`), ids of requests and tasks name their
server, and progress passes only to the request that it belongs to.
"""

from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.jsonrpc import is_response_to
from ostiary_gateway.pipeline.leg import Leg, Translation
from ostiary_gateway.pipeline.merged_sessions.event_ids import StreamOf
from ostiary_gateway.pipeline.merged_sessions.server_message_ids import expose_ids, is_foreign_progress
from ostiary_gateway.pipeline.merged_sessions.task_ids import (
    ChangeTaskId,
    change_in_message,
    change_in_result,
    content_of,
)
from ostiary_gateway.seal import TASK, Sealer
from ostiary_gateway.upstream import faults

#: The members of a result that may hold the id of a task.
_HOLDING_TASKS: Final = frozenset(("_meta", "task", "taskId"))
#: What every text with one holds; an escaped spelling of it is not MCP's.
_TASK: Final = b'"taskId"'


class LegTranslation:
    """Translates what one server sends on one stream.

    ``token`` is the progress token of the request that the stream belongs to, as its server knows it, None where it has
    none. ``resumed`` is that request where the stream is one that the client resumes: its response comes there.
    ``names`` translates names and URIs, None where they are unchanged; ``seal_task`` seals ids of tasks.
    """

    __slots__ = ("_names", "_resumed", "_seal_task", "_server", "_token")

    def __init__(
        self,
        server: str,
        *,
        token: Any,
        names: Translation | None,
        seal_task: ChangeTaskId,
        resumed: StreamOf | None = None,
    ) -> None:
        self._server = server
        self._resumed = resumed
        self._token = token
        self._names = names
        self._seal_task = seal_task

    def response(self, text: bytes, message: dict[str, Any]) -> bytes:
        """Return the response to the request; ``message`` is changed in the same way.

        Raises:
            UpstreamFault: it cannot be written again.
        """
        if self._names is not None:
            text = self._names.response(text, message)
        result = message.get("result")
        if not isinstance(result, dict) or _HOLDING_TASKS.isdisjoint(result) or _TASK not in text:
            return text
        changed = change_in_result(result, self._seal_task)
        if changed is None:
            raise UpstreamFault(faults.INVALID, "the id of its task is too long, or not printable")
        return _written(message) if changed else text

    def streamed(self, text: bytes, message: dict[str, Any]) -> bytes | None:
        """Return a notification or a request of the server, None for one that is not this caller's.

        On a stream that is resumed also the response to its request, and to no other: a server must not answer what
        another was asked.
        """
        if "method" not in message:
            is_due = self._resumed is not None and is_response_to(message, self._resumed.identifier)
            return self.response(text, message) if is_due else None
        if is_foreign_progress(message, self._token):
            return None
        before = message.get("id")
        if not expose_ids(message, self._server):
            return None
        has_ids = message.get("id") is not before or message.get("method") == "notifications/cancelled"
        changed = change_in_message(message, self._seal_task) if _TASK in text else False
        if changed is None:
            return None
        if changed or has_ids:
            text = _written(message)
        return text if self._names is None else self._names.streamed(text, message)


def translation_for(exchange: Exchange, leg: Leg, sealer: Sealer) -> Translation:
    """Return the translation of what the server of a leg sends, before the leg is sent.

    Where the leg has one already, that is the translation of names and URIs.
    """
    merge, server, names = exchange.proxy.merge, leg.server, leg.translation
    if names is None and merge is not None:
        names = merge.content[exchange.proxy.servers.index(server)]

    # Nothing here holds the exchange, which holds the leg: the garbage collector would have to find them.
    name, uid, principal = server.name, exchange.proxy.uid, exchange.principal.id

    def seal_task(own: str) -> str | None:
        content = content_of(name, own)
        return sealer.seal(TASK, content, proxy_uid=uid, principal=principal) if content is not None else None

    token = leg.resumes.token if leg.resumes is not None else _token(leg)
    return LegTranslation(server.name, token=token, names=names, seal_task=seal_task, resumed=leg.resumes)


def _token(leg: Leg) -> Any:
    if leg.message is None:
        return None
    params = leg.message.body.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    return meta.get("progressToken") if isinstance(meta, dict) else None


def _written(message: dict[str, Any]) -> bytes:
    try:
        return strict_json.dumps(message)
    except StrictJSONError as error:
        raise UpstreamFault(faults.INVALID, f"a message with an id cannot be written again: {error}") from None
