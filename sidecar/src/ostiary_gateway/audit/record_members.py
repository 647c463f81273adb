"""The members of a request's record: who, what, why it was allowed, and how it ended.

Every text that is a caller's or a server's own is cut to a limit.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from ostiary_core.content.finding import ContentFinding
from ostiary_core.policy.principal import Principal
from ostiary_gateway.audit.audit_events import LIMITED, RequestEvent
from ostiary_gateway.telemetry.span_record import session_digest

#: The most characters of ids, and of other texts.
SHORT: Final = 128
TEXT: Final = 256
_NAME: Final = 512
_GROUPS: Final = 16
#: The most findings that a record lists: with the longest names, they leave room for the rest of it.
_FINDINGS: Final = 16
#: By the first part of a method, how the record names what the request is about.
_TARGETS: Final = {"tools": "tool", "resources": "resource", "prompts": "prompt", "tasks": "task"}


def user_of(principal: Principal) -> dict[str, Any]:
    """Return who a principal is.

    Of its claims only the client's id is shown: it names the agent.
    """
    client = principal.claims.get("azp") or principal.claims.get("client_id")
    members = {
        "authMethod": principal.method,
        "id": principal.id,
        "username": principal.subject or principal.consumer or principal.id,
        "consumer": principal.consumer,
        "issuer": principal.issuer,
        "clientId": client if isinstance(client, str) else "",
        "groups": sorted(principal.groups)[:_GROUPS],
    }
    return {key: _cut(value) for key, value in members.items() if value}


def _cut(value: Any) -> Any:
    if isinstance(value, list):
        return [text_of(each, 64) for each in value]
    return text_of(value, TEXT)


def text_of(text: str, limit: int) -> str:
    """Return a text as it can be encoded: cut, and without half surrogate pairs."""
    return text[:limit] if text.isascii() else text[:limit].encode("utf-8", "replace").decode()


def mcp_of(event: RequestEvent) -> dict[str, Any]:
    """Return the member ``mcp``: what is asked for, in which session, by which client."""
    members: dict[str, Any] = (
        {"method": event.method} if event.method else {"httpMethod": text_of(event.http_method, 16)}
    )
    if event.protocol:
        members["protocolVersion"] = text_of(event.protocol, 32)
    if event.request_id is not None:
        members["requestId"] = text_of(str(event.request_id), SHORT)
    if event.session is not None:
        members["sessionHash"] = session_digest(event.session)
    if event.name:
        target = _TARGETS.get(event.method.partition("/")[0], "name" if event.method else "path")
        name = event.masks.text(event.name, limit=_NAME) if event.masks is not None else event.name
        members[target] = text_of(name, _NAME)
        if len(event.name) > _NAME:
            members["truncated"] = True
    if event.round > 1:
        members["round"] = event.round
    if type(event.client) is dict:
        members["clientInfo"] = _client(event.client)
    return members


def _client(client: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a client says that it is."""
    texts = ((key, client.get(key)) for key in ("name", "version"))
    found: dict[str, Any] = {key: text_of(text, 64) for key, text in texts if isinstance(text, str)}
    return {**found, "selfReported": True}


def authz_of(event: RequestEvent) -> dict[str, Any]:
    """Return the member ``authz``: the decision, and the rule and policy behind it."""
    if event.refusal is None:
        decision = event.decision
        return {"decision": "allow", **(origin_of(decision) if decision is not None else {})}
    if event.decision is not None and not event.decision.allowed:
        return {"decision": "deny", **origin_of(event.decision)}
    reason, _, _ = event.refusal
    origin = origin_of(event.decision) if event.decision is not None else {}
    return {"decision": "deny" if _is_limited(event) else "error", **origin, "reason": reason}


def origin_of(decision: Any) -> dict[str, Any]:
    """Return the reason of a decision, with the policy and rule behind it."""
    found: dict[str, Any] = {"reason": decision.reason.value}
    if decision.policy:
        found["policy"], found["generation"] = decision.policy, decision.generation
    if decision.rule:
        found["rule"] = decision.rule
    return found


def findings_of(findings: Mapping[ContentFinding, int]) -> list[dict[str, Any]]:
    """Return the member ``findings``: what rules about content found, and what was done."""
    return [_finding(finding, count) for finding, count in islice(findings.items(), _FINDINGS)]


def _finding(finding: ContentFinding, count: int) -> dict[str, Any]:
    members = {"policy": finding.policy, "rule": finding.rule, "detector": finding.detector}
    found: dict[str, Any] = {key: text_of(value, TEXT) for key, value in members.items() if value}
    found |= {"action": finding.action, "direction": finding.direction, "count": count}
    return {**found, "mode": finding.mode} if finding.is_shadow else found


_OUTCOMES: Final = {"tool_error": "tool_error", "cancelled": "cancelled", "caller_left": "cancelled"}


def response_of(event: RequestEvent) -> dict[str, Any]:
    """Return the member ``response``: how the request ended, from the caller's view."""
    error, refusal = event.error_type, event.refusal
    found: dict[str, Any] = {"outcome": _outcome(event)}
    code = event.code if event.code is not None else refusal[1] if refusal is not None else None
    if code is not None:
        found["code"] = code
    if refusal is not None:
        found["status"] = refusal[2]
    if error and error != str(code):
        found["error"] = text_of(error, 64)
    if event.dropped:
        found["dropped"] = event.dropped
    found["bytes"] = event.sizes[1]
    return found


def _outcome(event: RequestEvent) -> str:
    if event.refusal is not None:
        return "limited" if _is_limited(event) else "denied" if _is_denied(event) else "refused"
    if event.error_type in _OUTCOMES:
        return _OUTCOMES[event.error_type]
    if event.code is not None:
        return "rpc_error"
    return "error" if event.error_type else "success"


def _is_limited(event: RequestEvent) -> bool:
    return event.limit is not None and event.limit[2] == LIMITED


def _is_denied(event: RequestEvent) -> bool:
    return event.decision is not None and not event.decision.allowed
