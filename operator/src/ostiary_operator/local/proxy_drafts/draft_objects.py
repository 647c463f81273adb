"""The objects that the fields of a form describe.

These are an MCPProxy, and the MCPPolicy that says who may use it at first.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ostiary_operator.api.labels import is_dns_label
from ostiary_operator.api.resources import API_VERSION, POLICY_KIND, PROXY_KIND
from ostiary_operator.local import policy_suggestion
from ostiary_operator.local.policy_suggestion import Recording
from ostiary_operator.local.proxy_drafts.proxy_form import AccessChoice, CredentialChoice, ProxyForm, ServerPlace

#: What of metadata is the author's. The API server and tools write the rest, which belongs into no file.
_METADATA: Final = ("name", "namespace", "labels", "annotations")
_WRITTEN_BY_TOOLS: Final = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})
_SERVER: Final = "main"
_EVERYTHING: Final = {"name": "everything", "effect": "Allow"}
_PLACES: Final = ("url", "service", "serverRef")


@dataclass(frozen=True, slots=True)
class DraftContext:
    """What a draft is made of besides the form.

    ``edited`` is the MCPProxy that is changed, ``used`` what callers used where access is to follow that; where it is
    not known who used it, it is ``for_everyone``.
    """

    operator_namespace: str
    edited: Mapping[str, Any] | None = None
    used: Recording | None = None
    for_everyone: bool = False


def draft_objects(form: ProxyForm, context: DraftContext) -> list[dict[str, Any]]:
    """Return the MCPProxy, and the policies of the chosen access."""
    return [_proxy(form, context), *_policies(form, context)]


def authored(proxy: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object as its author would write it: without its status, and what tools added."""
    found = copy.deepcopy({key: proxy[key] for key in ("apiVersion", "kind", "metadata", "spec") if key in proxy})
    metadata = {key: found["metadata"][key] for key in _METADATA if found["metadata"].get(key)}
    if "annotations" in metadata:
        kept = {key: value for key, value in metadata["annotations"].items() if key not in _WRITTEN_BY_TOOLS}
        metadata = {**metadata, "annotations": kept} if kept else _without(metadata, "annotations")
    return {**found, "metadata": metadata}


def _proxy(form: ProxyForm, context: DraftContext) -> dict[str, Any]:
    before = authored(context.edited) if context.edited is not None else {}
    spec = dict(before.get("spec") or {})
    metadata = {**(before.get("metadata") or {}), "name": form.name, "namespace": form.namespace}
    _set(spec, "description", form.description)
    _set(spec, "path", form.path)
    _set(spec, "gateways", [_gateway(each, context.operator_namespace) for each in form.gateways])
    if form.place is not ServerPlace.UNCHANGED and (form.names_server or spec.get("servers")):
        spec["servers"] = [_server(form, next(iter(spec.get("servers") or ()), {}))]
    order = ("description", "gateways", "hostnames", "path", "servers")
    ordered = {key: spec[key] for key in order if key in spec} | spec
    return {"apiVersion": API_VERSION, "kind": PROXY_KIND, "metadata": metadata, "spec": ordered}


def _server(form: ProxyForm, before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the server: its place is the form's, everything else that it had stays."""
    place = {
        ServerPlace.SERVICE: ("service", _service(form)),
        ServerPlace.URL: ("url", form.url),
        ServerPlace.REFERENCE: ("serverRef", _reference(form)),
    }[form.place]
    kept = {key: value for key, value in before.items() if key not in {"name", "credential", *_PLACES}}
    server: dict[str, Any] = {"name": before.get("name") or _server_name(form), place[0]: place[1], **kept}
    if form.credential is CredentialChoice.UNCHANGED and before.get("credential"):
        server["credential"] = before["credential"]
    elif form.credential in {CredentialChoice.BEARER, CredentialChoice.HEADER}:
        server["credential"] = _credential(form)
    return server


def _server_name(form: ProxyForm) -> str:
    """Return a name for the server: that of the MCPProxy if it can be one."""
    return form.name if is_dns_label(form.name) else _SERVER


def _service(form: ProxyForm) -> dict[str, Any]:
    service: dict[str, Any] = {"name": form.service_name, "port": _number(form.service_port)}
    _set(service, "path", form.service_path)
    return service


def _reference(form: ProxyForm) -> dict[str, Any]:
    kind, _, group = form.reference.partition(".")
    reference = {"group": group, "kind": kind, "name": form.reference_name}
    _set(reference, "namespace", form.reference_namespace)
    return reference


def _credential(form: ProxyForm) -> dict[str, Any]:
    secret = {"secretRef": {"name": form.secret_name, "key": form.secret_key}}
    if form.credential is CredentialChoice.BEARER:
        return {"bearer": secret}
    header: dict[str, Any] = {"name": form.header_name}
    _set(header, "scheme", form.header_scheme)
    return {"header": header | secret}


def _gateway(identity: str, operator_namespace: str) -> dict[str, str]:
    namespace, _, name = identity.rpartition("/")
    return {"name": name} if namespace in {"", operator_namespace} else {"name": name, "namespace": namespace}


def _policies(form: ProxyForm, context: DraftContext) -> list[dict[str, Any]]:
    if form.access is AccessChoice.UNCHANGED:
        return []
    used = _policies_of_use(form, context) if form.access is AccessChoice.USED else []
    # Where nothing was used the access is closed: without a policy everything might be allowed.
    return used or [_policy(form, rules=[_EVERYTHING] if form.access is AccessChoice.OPEN else [])]


def _policy(form: ProxyForm, *, rules: list[dict[str, Any]]) -> dict[str, Any]:
    spec = {"targetRefs": [{"kind": PROXY_KIND, "name": form.name}], "access": {"rules": rules}}
    metadata = {"name": f"{form.name}-access", "namespace": form.namespace}
    return {"apiVersion": API_VERSION, "kind": POLICY_KIND, "metadata": metadata, "spec": spec}


def _policies_of_use(form: ProxyForm, context: DraftContext) -> list[dict[str, Any]]:
    """Return policies that allow at this MCPProxy what was used at another one."""
    uses = frozenset(
        use._replace(proxy=form.identity)
        for use in (context.used.uses if context.used is not None else ())
        if use.proxy == form.used_by and form.used_principal in {"", use.consumer}
    )
    policies = list(policy_suggestion.suggest(Recording(uses, {}), enforce=True))
    for policy in policies if context.for_everyone else ():
        del policy["spec"]["subjects"]
    return policies


def _number(text: str) -> int | str:
    """Return a port as a number; what is none stays as typed, so that the verdict names it."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else text


def _set(target: dict[str, Any], key: str, value: Any) -> None:
    """Set a field, or remove it where there is nothing to set."""
    if value:
        target[key] = value
    else:
        target.pop(key, None)


def _without(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != key}
