"""Objects of other operators that anyone may have written: what is served is a URL that a user could have written."""

from typing import Any

import pytest
from changed_documents import changed
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from ostiary_operator.api.server_kinds import BUILT_IN
from ostiary_operator.api.urls import UpstreamUrl
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.foreign_servers import ForeignServer, grant_from_object, server_from_object
from ostiary_operator.compile.inputs import resources_from_objects

_URL: TypeAdapter[str] = TypeAdapter(UpstreamUrl)
URLS = [
    "http://crm.team-a.svc:8080/mcp",
    "http://crm.team-b.svc/mcp",
    "http://crm.team-a.svc:8080/sse#crm",
    "http://user:secret@crm.team-a.svc/",
    "http://169.254.169.254/latest",
    "http://[::1]:80/mcp",
    "http://[",
    "http://ostiary-default.ostiary-system.svc/team-a/crm/mcp",
    "javascript:alert(1)",
    "",
]
METADATA = {"name": "crm", "namespace": "team-a", "uid": "u"}
SERVERS: list[dict[str, Any]] = [
    {
        "apiVersion": f"{kind.group}/{kind.version}",
        "kind": kind.kind,
        "metadata": METADATA,
        "spec": {"deployment": {"port": 3000}, "httpTransport": {"path": "/mcp"}},
        "status": {
            "url": URLS[0],
            "address": {"url": URLS[0]},
            "phase": "Ready",
            "conditions": [{"type": each, "status": "True"} for each in ("Available", "Verified", "Ready")],
        },
    }
    for kind in BUILT_IN
]
GRANT = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "ReferenceGrant",
    "metadata": METADATA,
    "spec": {
        "from": [{"group": "ostiary.dev", "kind": "MCPProxy", "namespace": "team-b"}],
        "to": [{"group": "mcp.x-k8s.io", "kind": "MCPServer", "name": "crm"}],
    },
}
GATEWAY = {
    "kind": "Service",
    "metadata": {
        "name": "ostiary-default",
        "namespace": "ostiary-system",
        "labels": {"ostiary.dev/gateway": "default"},
    },
}


def proxy(kind: int) -> dict[str, Any]:
    reference = {"group": BUILT_IN[kind].group, "kind": BUILT_IN[kind].kind, "name": "crm"}
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPProxy",
        "metadata": METADATA,
        "spec": {"servers": [{"name": "s", "serverRef": reference}]},
    }


@pytest.mark.parametrize("kind", range(len(BUILT_IN)))
@given(data=st.data())
def test_any_object_is_read_as_what_it_says_or_as_not_ready(kind: int, data: st.DataObject) -> None:
    obj = data.draw(changed(SERVERS[kind]))
    found = server_from_object(BUILT_IN[kind], obj if isinstance(obj, dict) else {})
    assert isinstance(found, ForeignServer)
    assert found.url or found.unready
    assert found.unready.isprintable()


@given(st.integers(0, len(BUILT_IN) - 1), st.sampled_from(URLS) | st.text(max_size=60), st.data())
def test_what_is_served_is_a_url_that_a_user_could_have_written(kind: int, url: str, data: st.DataObject) -> None:
    server = SERVERS[kind]
    status = {**server["status"], "url": url, "address": {"url": url}}
    obj = data.draw(st.just({**server, "status": status}) | changed({**server, "status": status}))
    objects = [each for each in (GATEWAY, proxy(kind), obj) if isinstance(each, dict) and _is_object(each)]
    found = compile_resources(resources_from_objects(objects, "ostiary-system"), {})
    for entry in found.configs["ostiary-system/default"].entries.values():
        assert _URL.validate_python(entry.servers[0].url) == entry.servers[0].url
        assert "ostiary-default" not in entry.servers[0].url
        assert "#" not in entry.servers[0].url
    assert "secret" not in repr(found.statuses)


def _is_object(value: dict[str, Any]) -> bool:
    metadata = value.get("metadata")
    kind = value.get("kind")
    return isinstance(metadata, dict) and isinstance(kind, str) and bool(kind) and "items" not in value


@given(changed(GRANT))
def test_a_grant_permits_no_more_than_it_says(obj: Any) -> None:
    found = grant_from_object(obj) if isinstance(obj, dict) else None
    if found is not None:
        text = str(obj)
        assert all(namespace in text for namespace in found.namespaces)
        assert all(group in text and kind in text for group, kind, _ in found.targets)
        assert "ostiary.dev" in text
