"""Parses and validates user input: Kubernetes objects, and settings of gateways."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.lock import LockSpec
from ostiary_operator.api.policy import PolicySpec
from ostiary_operator.api.problems import InvalidDocument, Problem, nulls, problems
from ostiary_operator.api.proxy import ProxySpec
from ostiary_operator.api.resources import (
    LOCK_KIND,
    POLICY_KIND,
    PROXY_KIND,
    MCPLock,
    MCPPolicy,
    MCPProxy,
    Resource,
    resource,
)
from ostiary_operator.api.settings import GatewaySettings
from ostiary_operator.api.yaml_reader import YamlError, read_documents

DocumentT = TypeVar("DocumentT", bound=ApiModel)

#: The size limit of a gateway's settings. Tenants write the settings of gateways in their own namespaces, and to report
#: a megabyte of faults takes the operator many seconds.
MAX_SETTINGS_CHARACTERS: Final = 64 * 1024


class InvalidResource(InvalidDocument):
    """A resource that cannot be used; ``problems`` lists the reasons by field."""


class InvalidSettings(InvalidDocument):
    """A gateway's settings cannot be used; ``problems`` lists the reasons by field."""


def parse_proxy(document: Mapping[str, Any], *, namespace: str = "default") -> Resource[ProxySpec]:
    """Read an MCPProxy; its status is ignored. ``namespace`` is for an object that names none.

    Raises:
        InvalidResource: the object is not a valid MCPProxy.
    """
    return resource(_validated(MCPProxy, PROXY_KIND, document), namespace=namespace)


def parse_policy(document: Mapping[str, Any], *, namespace: str = "default") -> Resource[PolicySpec]:
    """Read an MCPPolicy; its status is ignored. ``namespace`` is for an object that names none.

    Raises:
        InvalidResource: the object is not a valid MCPPolicy.
    """
    return resource(_validated(MCPPolicy, POLICY_KIND, document), namespace=namespace)


def parse_lock(document: Mapping[str, Any], *, namespace: str = "default") -> Resource[LockSpec]:
    """Read an MCPLock; its status is ignored, and its definitions stay texts.

    ``namespace`` is for an object that names none.

    Raises:
        InvalidResource: the object is not a valid MCPLock.
    """
    return resource(_validated(MCPLock, LOCK_KIND, document), namespace=namespace)


def parse_settings(text: str, *, subject: str = "gateway settings") -> GatewaySettings:
    """Read a gateway's settings document; an empty text is a document without fields.

    ``subject`` names the document in errors, such as `ConfigMap ostiary-system/default`.

    Raises:
        InvalidSettings: the text is not one YAML document with valid settings.
    """
    if len(text) > MAX_SETTINGS_CHARACTERS:
        remedy = "write fewer grants, addresses and comments"
        message = f"is longer than the {MAX_SETTINGS_CHARACTERS} characters that it may have"
        raise InvalidSettings(subject, [Problem("", message, remedy)])
    try:
        documents = list(read_documents(text))
    except YamlError as error:
        raise InvalidSettings(subject, [Problem("", f"is not YAML: {error}", "correct the syntax")]) from None
    if len(documents) > 1:
        raise InvalidSettings(subject, [Problem("", "holds several YAML documents", "keep one")])
    value = documents[0].value if documents else {}
    found, settings = _judged(GatewaySettings, value)
    if settings is None:
        raise InvalidSettings(subject, found)
    return settings


def _validated(model: type[DocumentT], kind: str, document: Mapping[str, Any]) -> DocumentT:
    found, valid = _judged(model, {key: value for key, value in document.items() if key != "status"})
    if valid is None:
        raise InvalidResource(_subject(kind, document), found)
    return valid


def _judged(model: type[DocumentT], value: Any) -> tuple[list[Problem], DocumentT | None]:
    """The valid document, or the problems that it has."""
    found = list(nulls({k: v for k, v in value.items() if k != "metadata"} if isinstance(value, Mapping) else value))
    if found:
        return found, None
    try:
        return [], model.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as error:
        return problems(error, model), None


def _subject(kind: str, document: Mapping[str, Any]) -> str:
    """The kind, namespace and name of an object, for error messages; the name may be missing."""
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("name"), str):
        return f"{kind} without a name"
    namespace = metadata.get("namespace")
    prefix = f"{namespace}/" if isinstance(namespace, str) else ""
    return f"{kind} {prefix}{metadata['name']}"
