"""Generates the field reference from the models, for `ostiary crds --docs docs/reference`."""

import json
from collections.abc import Iterable, Iterator

from ostiary_operator.api.audit_record import AuditTrailRecord
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.conditions import ASIDE, OF_EVERY_KIND, REASONS
from ostiary_operator.api.crd import object_schema
from ostiary_operator.api.resources import (
    API_VERSION,
    GROUP,
    LOCK_KIND,
    POLICY_KIND,
    PROXY_KIND,
    MCPLock,
    MCPPolicy,
    MCPProxy,
)
from ostiary_operator.api.schema import Schema, editor_schema, fields, inlined, unwrapped
from ostiary_operator.api.settings import GatewaySettings
from ostiary_operator.api.status import LockStatus, PolicyStatus, ProxyStatus

_HEADER = "<!-- Generated from the models by `ostiary crds --docs docs/reference`. Do not edit. -->\n"
_SETTINGS_SCHEMA = "gateway-settings.schema.json"


def render_reference() -> dict[str, str]:
    """The pages of the reference, and the JSON Schema of the gateway settings, by file name."""
    schema = editor_schema(GatewaySettings, identifier=f"https://{GROUP}/schemas/{_SETTINGS_SCHEMA}")
    return {
        "mcpproxy.md": _resource_page(MCPProxy, ProxyStatus, PROXY_KIND),
        "mcppolicy.md": _resource_page(MCPPolicy, PolicyStatus, POLICY_KIND),
        "mcplock.md": _resource_page(MCPLock, LockStatus, LOCK_KIND),
        "gateway-settings.md": _settings_page(),
        "audit-record.md": _audit_record_page(),
        _SETTINGS_SCHEMA: json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
    }


def _resource_page(model: type[ApiModel], status: type[ApiModel], kind: str) -> str:
    schema = object_schema(model, status)
    parts = schema["properties"]
    return _page(
        kind,
        f"`apiVersion: {API_VERSION}`, `kind: {kind}`. {schema['description']}",
        ("Spec", _table(fields(parts["spec"], "spec"))),
        ("Checks", _checks({**schema, "properties": {"spec": parts["spec"]}})),
        ("Status", _table(fields(parts["status"], "status"))),
        ("Conditions", _conditions(kind)),
    )


def _settings_page() -> str:
    schema = inlined(GatewaySettings)
    return _page(
        "Gateway settings",
        "One YAML document under the key `settings.yaml` of a ConfigMap in the namespace of the gateway's Service. "
        f"{unwrapped(GatewaySettings.__doc__ or '')} Every field has a default, so `{{}}` is a valid document. "
        f"Editors can check it with [{_SETTINGS_SCHEMA}]({_SETTINGS_SCHEMA}).",
        ("Fields", _table(fields(schema))),
        ("Checks", _checks(schema)),
    )


def _audit_record_page() -> str:
    return _page(
        "Audit record",
        f"{unwrapped(AuditTrailRecord.__doc__ or '')} A line is JSON without line breaks and has less than 16 KiB. "
        "[audit-record.schema.json](../../schemas/audit-record.schema.json) is its JSON Schema, and "
        "[Prove it to an auditor](../tutorials/12-prove-it-to-an-auditor.md) verifies and queries a trail.",
        ("Members", _table(fields(inlined(AuditTrailRecord)))),
        ("The chain", _CHAIN),
        ("Checkpoints", _CHECKPOINTS),
    )


_CHAIN = (
    (
        '`chain.hash` is the SHA-256 of every byte of the line before `,"hash":"`. So it covers the record as it was '
        "written, `chain.id`, `chain.seq` and `chain.prev`, and `sha256sum` can check it. A process begins a chain "
        "with GatewayStarted, and ends it with GatewayStopped and a checkpoint with `closing: true`."
    ),
)
_CHECKPOINTS = (
    (
        '`signature` is over the bytes of the line before `,"signature":"`. A gateway writes a checkpoint after its '
        "start, then every 1,000 records or `checkpointInterval`, and at its end. Each is also logged, is in `/config` "
        "of the admin port, and goes to the sinks that are copies. In a cluster the operator keeps the last one of "
        "each chain, and the public keys, in the ConfigMap `ostiary-<gateway>-audit`."
    ),
)


def _page(title: str, introduction: str, *sections: tuple[str, Iterable[str]]) -> str:
    lines = [_HEADER, f"# {title}", "", introduction]
    for heading, body in sections:
        lines += ["", f"## {heading}", "", *body]
    return "\n".join(lines) + "\n"


def _table(rows: Iterable[tuple[str, Schema, bool]]) -> Iterator[str]:
    yield "| Field | Type | Meaning |"
    yield "|---|---|---|"
    for path, schema, required in rows:
        meaning = _cell(unwrapped(schema.get("description", "")))
        yield f"| `{path}` | {_type(schema)}{', required' if required else ''} | {meaning}{_default(schema)} |"


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n\n", "<br>")


def _default(schema: Schema) -> str:
    default = schema.get("default")
    if default in (None, [], {}) or schema.get("type") == "object":
        return ""
    return f" Default: `{default}`."


def _type(schema: Schema) -> str:
    if "enum" in schema:
        return " or ".join(f"`{choice}`" for choice in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type(branch) for branch in schema["anyOf"])
    match schema.get("type", "string, number or boolean"):
        case "array":
            return f"list{_most(schema, 'maxItems')} of {_type(schema['items'])}"
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return f"map{_most(schema, 'maxProperties')} of {_type(schema['additionalProperties'])}"
        case "integer" if "maximum" in schema:
            return f"integer ({schema['minimum']} to {schema['maximum']})"
        case kind:
            return f"{kind}{_most(schema, 'maxLength')}"


def _most(schema: Schema, keyword: str) -> str:
    return f" (at most {schema[keyword]})" if keyword in schema else ""


def _checks(schema: Schema) -> Iterator[str]:
    """The checks besides types, bounds and patterns, with their error messages."""
    yield "Checks besides types, sizes and characters, with the error message of each:"
    yield ""
    for path, node in _nodes(schema, ""):
        for rule in node.get("x-kubernetes-validations", ()):
            place = f"{path}{rule.get('fieldPath', '')}".removeprefix(".")
            yield f"- `{place}`: {rule['message']}."


def _nodes(node: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Every schema within a schema, items of lists included, with its path."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{name}".removeprefix("."))
    if isinstance(node.get("items"), dict):
        yield from _nodes(node["items"], f"{path}[]")


def _conditions(kind: str) -> Iterator[str]:
    yield "| Type | Reason | Meaning | What to do |"
    yield "|---|---|---|---|"
    for condition in (*OF_EVERY_KIND, *ASIDE[kind]):
        for reason in REASONS[condition]:
            yield f"| {condition} | `{reason}` | {_cell(reason.meaning)} | {_cell(reason.remedy)} |"
    yield ""
    yield "While another condition is not True, Ready has that condition's reason."
