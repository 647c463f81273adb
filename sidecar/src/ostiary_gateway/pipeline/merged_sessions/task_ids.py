"""Ids of tasks, as a client of several servers sees them.

They are sealed together with their server.

A task outlives its request, and a client asks for it later, perhaps at another replica. So its id says whose it is, and
no client can make one up or use another caller's: it opens only at the proxy and for the principal that it was made
for. The same task has the same sealed id each time (:data:`ostiary_gateway.seal.TASK`), since clients compare them.

A server may also ask for tasks that the *client* runs (2025-11-25). Their ids are the client's, and stay unchanged.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

#: The most characters of a server's own id: sealed and in a header (``Mcp-Name``) it is a third longer.
LONGEST: Final = 512
RELATED_TASK: Final = "io.modelcontextprotocol/related-task"
_KEY: Final = "taskId"
#: What a server tells about its tasks: the second is of the extension.
_STATUS: Final = frozenset({"notifications/tasks/status", "notifications/tasks"})

#: Returns the sealed form of a server's own id, or the own id of a sealed one; None where it is not one.
ChangeTaskId = Callable[[str], str | None]


def content_of(server: str, own: str) -> bytes | None:
    """Return what is sealed for a task of a server; None for an id that is far too long."""
    return f"{server}\n{own}".encode() if len(own) <= LONGEST and own.isprintable() else None


def task_of(content: bytes) -> tuple[str, str]:
    """Return the server and its own id of what was sealed."""
    server, _, own = content.decode().partition("\n")
    return server, own


def change_in_result(result: dict[str, Any], change: ChangeTaskId) -> bool | None:
    """Change the ids of tasks in a server's result, in place; None where one cannot be changed.

    Else return whether there was one.
    """
    task = result.get("task")
    return _change([result, *([task] if isinstance(task, dict) else []), *_related(result)], change)


def change_in_message(message: dict[str, Any], change: ChangeTaskId) -> bool | None:
    """Change them in a request or notification of a server, as :func:`change_in_result` does."""
    params = message.get("params")
    if not isinstance(params, dict):
        return False
    return _change([*([params] if message.get("method") in _STATUS else []), *_related(params)], change)


def change_in_response(body: dict[str, Any], change: ChangeTaskId) -> bool | None:
    """Change the related task in a client's response, as :func:`change_in_result` does."""
    result = body.get("result")
    return _change(list(_related(result)), change) if isinstance(result, dict) else False


def _related(holder: dict[str, Any]) -> Iterator[dict[str, Any]]:
    meta = holder.get("_meta")
    related = meta.get(RELATED_TASK) if isinstance(meta, dict) else None
    if isinstance(related, dict):
        yield related


def _change(holders: list[dict[str, Any]], change: ChangeTaskId) -> bool | None:
    found = [holder for holder in holders if isinstance(holder.get(_KEY), str)]
    for holder in found:
        changed = change(holder[_KEY])
        if changed is None:
            return None
        holder[_KEY] = changed
    return bool(found)
