"""The members of a message: what each may be, and the refusal of what it must not be.

JSON compares member names exactly, but some readers do not: Go's ``encoding/json`` takes ``Name`` for ``name``, and of
two it takes the last. So ``{"name": "a", "Name": "b"}`` would be judged as ``a`` and executed as ``b``: a member that
only looks like one that is judged is refused.
"""

from typing import Any, Final

from ostiary_core.mcp import codes
from ostiary_core.mcp.methods import Method, Primitive
from ostiary_core.mcp.protocol_revisions import MODERN, Era
from ostiary_core.policy.cost_limits import NAME_LENGTH
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.message import Message

#: The members whose value decides what a message may do.
_JUDGED: Final = frozenset(
    {
        "name",
        "uri",
        "taskId",
        "arguments",
        "_meta",
        "protocolVersion",
        "ref",
        "type",
        "notifications",
        "resourceSubscriptions",
        "taskIds",
    }
)
_BY_FOLD: Final = {member.casefold(): member for member in _JUDGED}
_ID_LIMIT: Final = 1024


def invalid(message: str, *, code: int = codes.INVALID_REQUEST, status: int = 400) -> Refusal:
    """Return the refusal of something that is not a valid message."""
    return Refusal(status, "InvalidMessage", message, code=code)


def bad_params(message: str, era: Era) -> Refusal:
    """Return the refusal of a request whose params do not fit its method.

    In the older revisions a JSON-RPC error has no HTTP status of its own, and their clients lose the error code unless
    the status is 200.
    """
    return invalid(message, code=codes.INVALID_PARAMS, status=400 if era is MODERN else 200)


def case_variant(members: dict[str, Any]) -> str | None:
    """Return the first member whose name differs from a judged one only in case.

    It is None where there is none.
    """
    if members.keys() <= _JUDGED:
        return None
    for member in members:
        if _BY_FOLD.get(member.casefold(), member) != member:
            return member
    return None


def check_params(params: Any) -> None:
    """Check that params are an object without a look-alike of a judged member.

    Raises:
        Refusal: -32602.
    """
    if not isinstance(params, dict):
        raise invalid('"params" must be an object', code=codes.INVALID_PARAMS)
    look_alike = case_variant(params)
    if look_alike is not None:
        raise invalid(f'"params.{look_alike}" differs in case only from what is judged', code=codes.INVALID_PARAMS)


def read_meta(params: dict[str, Any] | None) -> dict[str, Any]:
    """Return the ``_meta`` of params, empty without one.

    Raises:
        Refusal: -32602, it is not an object.
    """
    meta = params.get("_meta") if params is not None else None
    if meta is None:
        return {}
    if not isinstance(meta, dict):
        raise invalid('"params._meta" must be an object', code=codes.INVALID_PARAMS)
    return meta


def read_id(body: dict[str, Any]) -> str | int | None:
    """Return the id of a message, None without one.

    Raises:
        Refusal: -32600, it is neither an integer nor a string of bounded length.
    """
    if "id" not in body:
        return None
    identifier = body["id"]
    if type(identifier) is int:
        return identifier
    if type(identifier) is not str:
        raise invalid('"id" must be a string or an integer')
    if len(identifier) > _ID_LIMIT:
        raise invalid(f'"id" must not be longer than {_ID_LIMIT} characters')
    return identifier


def read_name(method: Method, body: dict[str, Any], era: Era) -> str:
    """Return the tool, prompt, URI or task that a method names, "" where it names none.

    Raises:
        Refusal: -32602, it is not a string of bounded length.
    """
    if not method.name_key:
        return ""
    name = (body.get("params") or {}).get(method.name_key)
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH:
        raise bad_params(f'"params.{method.name_key}" must be a string of 1 to {NAME_LENGTH} characters', era)
    return name


def completion_reference(message: Message) -> tuple[Primitive, str]:
    """Return the primitive and the name of what a completion is for.

    It is a prompt or a resource template.

    Raises:
        Refusal: it names none.
    """
    reference = message.params.get("ref")
    kind = reference.get("type") if isinstance(reference, dict) else None
    primitive, key = {"ref/prompt": (Primitive.PROMPTS, "name"), "ref/resource": (Primitive.RESOURCES, "uri")}.get(
        kind if isinstance(kind, str) else "", (None, "")
    )
    if primitive is None or not isinstance(reference, dict) or not _is_named(reference, key):
        words = f'"params.ref" must name a prompt or a resource, in 1 to {NAME_LENGTH} characters'
        raise bad_params(words, message.era)
    return primitive, reference[key]


def _is_named(reference: dict[str, Any], key: str) -> bool:
    name = reference.get(key)
    return isinstance(name, str) and 0 < len(name) <= NAME_LENGTH and case_variant(reference) is None
