"""The table of MCP methods.

It says which primitive each one uses, with which verb, and which member holds the name.

A request whose method is not in the table is refused in every revision: the gateway cannot authorize what it does not
understand. A notification that is not in the table is accepted and goes nowhere, as servers do with unknown ones. The
table has the methods that *clients* send. Messages from servers pass unchanged except for filtered lists.
"""

import enum
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


class Primitive(enum.StrEnum):
    """What a server offers (specification, Server Features)."""

    TOOLS = "tools"
    RESOURCES = "resources"
    PROMPTS = "prompts"


class Verb(enum.StrEnum):
    """What a caller does with a primitive."""

    LIST = "List"
    CALL = "Call"
    READ = "Read"
    SUBSCRIBE = "Subscribe"
    GET = "Get"


def primitives(found: Iterable[Primitive]) -> frozenset[Primitive]:
    """Return a set of primitives, the same object for equal ones: each proxy has several."""
    return _shared_set(frozenset(found))


@functools.cache
def _shared_set(found: frozenset[Primitive]) -> frozenset[Primitive]:
    return found


#: The verbs that a rule can name for each primitive, in the order in which documentation lists them.
VERBS: Final[dict[Primitive, tuple[Verb, ...]]] = {
    Primitive.TOOLS: (Verb.LIST, Verb.CALL),
    Primitive.RESOURCES: (Verb.LIST, Verb.READ, Verb.SUBSCRIBE),
    Primitive.PROMPTS: (Verb.LIST, Verb.GET),
}

#: The verb that *uses* a primitive once it has been seen.
USE: Final[dict[Primitive, Verb]] = {
    Primitive.TOOLS: Verb.CALL,
    Primitive.RESOURCES: Verb.READ,
    Primitive.PROMPTS: Verb.GET,
}


class AuthorizationKind(enum.Enum):
    """How the authorize stage judges a method."""

    ALWAYS = "always"  # lifecycle: passes whatever the policy says
    LIST = "list"  # passes; the shape stage filters the response
    NAME = "name"  # judged on primitive, verb and the name in params
    COMPLETION = "completion"  # judged on the prompt or resource to be completed
    LISTEN = "listen"  # judged on every resource in the filter
    TASK = "task"  # follows an earlier tools/call: needs the right to call some tool
    TASK_LIST = "task-list"  # names no task: passes only where tools are not governed


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the table.

    ``name_key`` is the member of ``params`` that holds the name or URI; ``list_key`` the member of a list result that
    holds the items and ``item_key`` the member of an item that names it. ``legacy`` and ``modern`` are the eras in
    which a client may send it; ``notification`` says whether it has no id.
    """

    name: str
    authorization: AuthorizationKind
    primitive: Primitive | None = None
    verb: Verb | None = None
    name_key: str = ""
    list_key: str = ""
    item_key: str = ""
    legacy: bool = True
    modern: bool = True
    notification: bool = False


def _lifecycle(name: str, *, legacy: bool = True, modern: bool = False, notification: bool = False) -> Method:
    return Method(name, AuthorizationKind.ALWAYS, legacy=legacy, modern=modern, notification=notification)


def _list(name: str, primitive: Primitive, list_key: str, item_key: str) -> Method:
    return Method(name, AuthorizationKind.LIST, primitive, Verb.LIST, list_key=list_key, item_key=item_key)


def _named(name: str, primitive: Primitive, verb: Verb, name_key: str, *, modern: bool = True) -> Method:
    return Method(name, AuthorizationKind.NAME, primitive, verb, name_key=name_key, modern=modern)


_ROWS: Final = (
    _lifecycle("initialize"),
    _lifecycle("ping"),
    _lifecycle("logging/setLevel"),
    _lifecycle("server/discover", legacy=False, modern=True),
    _lifecycle("notifications/initialized", notification=True),
    _lifecycle("notifications/cancelled", modern=True, notification=True),
    _lifecycle("notifications/progress", modern=True, notification=True),
    _lifecycle("notifications/roots/list_changed", modern=True, notification=True),
    _lifecycle("notifications/tasks/status", notification=True),
    _list("tools/list", Primitive.TOOLS, "tools", "name"),
    _list("resources/list", Primitive.RESOURCES, "resources", "uri"),
    _list("resources/templates/list", Primitive.RESOURCES, "resourceTemplates", "uriTemplate"),
    _list("prompts/list", Primitive.PROMPTS, "prompts", "name"),
    _named("tools/call", Primitive.TOOLS, Verb.CALL, "name"),
    _named("resources/read", Primitive.RESOURCES, Verb.READ, "uri"),
    _named("resources/subscribe", Primitive.RESOURCES, Verb.SUBSCRIBE, "uri", modern=False),
    _named("resources/unsubscribe", Primitive.RESOURCES, Verb.SUBSCRIBE, "uri", modern=False),
    _named("prompts/get", Primitive.PROMPTS, Verb.GET, "name"),
    Method("completion/complete", AuthorizationKind.COMPLETION),
    Method("subscriptions/listen", AuthorizationKind.LISTEN, Primitive.RESOURCES, Verb.SUBSCRIBE, legacy=False),
    Method("tasks/get", AuthorizationKind.TASK, Primitive.TOOLS, Verb.CALL, name_key="taskId"),
    Method("tasks/result", AuthorizationKind.TASK, Primitive.TOOLS, Verb.CALL, name_key="taskId", modern=False),
    Method("tasks/update", AuthorizationKind.TASK, Primitive.TOOLS, Verb.CALL, name_key="taskId", legacy=False),
    Method("tasks/cancel", AuthorizationKind.TASK, Primitive.TOOLS, Verb.CALL, name_key="taskId"),
    Method("tasks/list", AuthorizationKind.TASK_LIST, Primitive.TOOLS, Verb.CALL, modern=False),
)

#: Used for every notification that is not in the table. Telemetry shows this name for all of them.
UNKNOWN_NOTIFICATION: Final = Method("_OTHER", AuthorizationKind.ALWAYS, notification=True)
NOTIFICATION_PREFIX: Final = "notifications/"

METHODS: Final[dict[str, Method]] = {row.name: row for row in _ROWS}

#: Methods that may be sent again if the server may already have received them: they only read, or open a session that
#: can be abandoned. tools/call is never among them.
REPEATABLE: Final = frozenset(
    {
        "initialize",
        "ping",
        "server/discover",
        "completion/complete",
        "tasks/get",
        "tasks/list",
        *(row.name for row in _ROWS if row.verb in {Verb.LIST, Verb.READ, Verb.GET}),
    }
)

#: List methods by the member that holds the items, for responses whose request is not known (a resumed GET).
LISTS: Final[dict[str, Method]] = {row.list_key: row for row in _ROWS if row.authorization is AuthorizationKind.LIST}
