"""Generates JSON Schemas of all kinds, audit records, evidence, and what scorers are asked.

`ostiary crds --json-schema` writes them. Names and folders are those of public CRD schema catalogues, so that one
folder serves the modeline of an editor (`# yaml-language-server: $schema=…`) and tools such as kubeconform.
"""

import json
from typing import Any, Final

from pydantic import BaseModel

from ostiary_core.content.scoring.scorer_documents import ScorerRequest, ScorerResponse
from ostiary_core.evidence.definitions import DefinitionsDocument
from ostiary_core.evidence.proxy_traffic import TrafficDocument
from ostiary_core.evidence.recorded_call import CallsDocument
from ostiary_core.evidence.refusals import RefusalsDocument
from ostiary_operator.api.audit_record import AuditTrailRecord
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.resources import GROUP, VERSION, MCPLock, MCPPolicy, MCPProxy
from ostiary_operator.api.schema import Schema, editor_schema

#: Only objects from a cluster have a status, files do not. Editors need not check it, so its fields are not listed.
_STATUS: Final = {"description": "What the operator observed. Users only read it.", "type": "object"}


def render_json_schemas() -> dict[str, str]:
    """The schemas as JSON, by the path of each file: `<group>/<kind>_<version>.json`."""
    schemas = {_path(model): _schema(model) for model in _MODELS}
    for name, model in _DOCUMENTS.items():
        schemas[name] = editor_schema(model, identifier=f"https://{GROUP}/schemas/{name}")
    return {path: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for path, schema in schemas.items()}


#: What gateways write, send and take, besides the kinds.
_DOCUMENTS: Final[dict[str, type[BaseModel]]] = {
    "audit-record.schema.json": AuditTrailRecord,
    "scorer-request.schema.json": ScorerRequest,
    "scorer-response.schema.json": ScorerResponse,
    "evidence-traffic.schema.json": TrafficDocument,
    "evidence-calls.schema.json": CallsDocument,
    "evidence-refusals.schema.json": RefusalsDocument,
    "evidence-definitions.schema.json": DefinitionsDocument,
}
_MODELS: Final[tuple[type[ApiModel], ...]] = (MCPProxy, MCPPolicy, MCPLock)


def _path(model: type[ApiModel]) -> str:
    return f"{GROUP}/{model.__name__.lower()}_{VERSION}.json"


def _schema(model: type[ApiModel]) -> Schema:
    """The schema of a whole object.

    It lacks the checks that only the API server and `ostiary validate` can make.
    """
    schema = editor_schema(model, identifier=f"https://{GROUP}/schemas/{_path(model)}")
    properties: dict[str, Any] = schema["properties"]
    return {**schema, "properties": {**properties, "status": _STATUS}}
