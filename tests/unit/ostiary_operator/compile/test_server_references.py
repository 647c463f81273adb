"""serverRef: which URL another operator's resource gives a server, and when it gives none."""

import dataclasses
from typing import Any

import pytest

from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.foreign_servers import MissingServer, ServerKey, WantedServer
from ostiary_operator.compile.inputs import resources_from_objects
from ostiary_operator.compile.model import Compiled, ObjectKey, Resources
from ostiary_operator.compile.server_references import wanted_servers

PROXY = ObjectKey("MCPProxy", "team-a", "crm")
GATEWAY = "ostiary-system/default"
LIFECYCLE, TOOLHIVE, KMCP = "mcp.x-k8s.io/v1beta1", "toolhive.stacklok.dev/v1beta1", "kagent.dev/v1alpha1"
URL = "http://crm.team-a.svc.cluster.local:8080/mcp"
ABROAD = "http://crm.crm.svc:8080/mcp"
READY = {"phase": "Ready", "url": URL}


def gateway(**settings: Any) -> list[dict[str, Any]]:
    labels = {"ostiary.dev/gateway": "default"}
    metadata = {"name": "ostiary-default", "namespace": "ostiary-system", "labels": labels}
    found: list[dict[str, Any]] = [{"kind": "Service", "metadata": metadata}]
    if settings:
        labels = {**labels, "ostiary.dev/usage": "settings"}
        text = "\n".join(f"{key}: {value}" for key, value in settings.items())
        found.append({"kind": "ConfigMap", "metadata": {**metadata, "labels": labels}, "data": {"settings.yaml": text}})
    return found


def proxy(*, group: str = "toolhive.stacklok.dev", kind: str = "MCPServer", **server: Any) -> dict[str, Any]:
    reference = {"group": group, "kind": kind, "name": "crm", **server.pop("ref", {})}
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPProxy",
        "metadata": {"name": "crm", "namespace": "team-a", "uid": "u", "generation": 1},
        "spec": {"servers": [{"name": "s", "serverRef": reference, **server}]},
    }


def foreign(api: str, kind: str = "MCPServer", *, namespace: str = "team-a", **content: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "crm", "namespace": namespace}, **content}


def toolhive(namespace: str = "team-a", **status: Any) -> dict[str, Any]:
    return foreign(TOOLHIVE, namespace=namespace, status=status)


def grant(*, to: dict[str, Any] | None = None, namespace: str = "crm", **source: Any) -> dict[str, Any]:
    target = {"group": "toolhive.stacklok.dev", "kind": "MCPServer", **(to or {})}
    origin = {"group": "ostiary.dev", "kind": "MCPProxy", "namespace": "team-a", **source}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "ReferenceGrant",
        "metadata": {"name": "g", "namespace": namespace},
        "spec": {"from": [origin], "to": [target]},
    }


def resources(*objects: dict[str, Any]) -> Resources:
    services = [] if any(each["kind"] == "Service" for each in objects) else gateway()
    return resources_from_objects([*services, *objects], "ostiary-system")


def compiled(*objects: dict[str, Any], before: Compiled | None = None) -> Compiled:
    return compile_resources(resources(*objects), before.configs if before is not None else {})


def condition(found: Compiled, name: str = "ResolvedRefs") -> tuple[str, str, str]:
    [one] = [each for each in found.statuses[PROXY].conditions if each.type == name]
    return one.status, one.reason, one.message


def url(found: Compiled) -> str | None:
    entry = found.configs[GATEWAY].entries.get("team-a/crm")
    return entry.servers[0].url if entry is not None else None


@pytest.mark.parametrize(
    ("reference", "server"),
    [
        (
            proxy(group="mcp.x-k8s.io"),
            foreign(
                LIFECYCLE,
                status={
                    "address": {"url": URL},
                    "conditions": [{"type": "Available", "status": "True"}, {"type": "Verified", "status": "True"}],
                },
            ),
        ),
        (proxy(), toolhive(**READY)),
        (proxy(), toolhive(phase="Degraded", url=URL)),
        (proxy(kind="MCPRemoteProxy"), foreign(TOOLHIVE, "MCPRemoteProxy", status=READY)),
        (proxy(kind="VirtualMCPServer"), foreign(TOOLHIVE, "VirtualMCPServer", status=READY)),
    ],
)
def test_a_server_has_the_url_that_the_status_of_its_resource_publishes(
    reference: dict[str, Any], server: dict[str, Any]
) -> None:
    found = compiled(reference, server)
    assert url(found) == URL
    assert condition(found)[:2] == ("True", "ResolvedRefs")
    assert condition(found, "Accepted")[0] == "True"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"deployment": {"port": 3000}}, "http://crm.team-a.svc:3000/mcp"),
        ({"deployment": {"port": 8000}, "httpTransport": {"path": "/api/mcp"}}, "http://crm.team-a.svc:8000/api/mcp"),
        ({"deployment": {"port": 8000}, "httpTransport": {"path": "tools"}}, "http://crm.team-a.svc:8000/tools"),
    ],
)
def test_a_server_of_kmcp_is_at_the_service_of_its_name(spec: dict[str, Any], expected: str) -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    assert url(compiled(proxy(group="kagent.dev"), foreign(KMCP, spec=spec, status=ready))) == expected


@pytest.mark.parametrize("port", [None, 0, 70000, "3000", True, -1])
def test_a_server_of_kmcp_without_a_usable_port_has_no_url(port: Any) -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    server = foreign(KMCP, spec={"deployment": {"port": port}}, status=ready)
    assert condition(compiled(proxy(group="kagent.dev"), server))[1] == "BackendNotReady"


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (toolhive(), "it has no phase yet"),
        (toolhive(phase="Pending", url=URL), "its phase is Pending"),
        (toolhive(phase="Ready"), "it has no URL yet"),
        (toolhive(phase={"Ready": []}, url=URL), "its phase is"),
        (toolhive(phase="Ready", url=7), "it has no URL yet"),
        (toolhive(phase="Ready", url="http://x/" + "a" * 5000), "it has no URL yet"),
    ],
)
def test_a_server_that_never_was_ready_is_not_served_and_the_condition_says_why(
    server: dict[str, Any], why: str
) -> None:
    found = compiled(proxy(), server)
    assert url(found) is None
    assert condition(found)[:2] == ("False", "BackendNotReady")
    assert why in condition(found)[2]
    assert condition(found, "Accepted")[0] == "True"  # its path is its own, whether the server is ready or not


@pytest.mark.parametrize(
    "flapping",
    [
        toolhive(phase="Failed", url=URL),
        toolhive(phase="Pending"),
        toolhive(phase="Failed", url="http://other.team-a.svc:1/mcp"),
        toolhive(),
    ],
)
def test_the_last_url_stays_while_a_server_is_not_ready_and_newer_versions_of_the_proxy_use_it(
    flapping: dict[str, Any],
) -> None:
    before = compiled(proxy(), toolhive(**READY))
    found = compiled(proxy(timeouts={"request": "7s"}), flapping, before=before)
    assert url(found) == URL
    assert found.configs[GATEWAY].entries["team-a/crm"].servers[0].timeouts.request == 7000
    status, _, message = condition(found)
    assert status == "True"
    assert "is not ready" in message
    assert "its last URL stays in use" in message


def test_a_url_that_changes_while_the_server_is_ready_is_taken() -> None:
    before = compiled(proxy(), toolhive(**READY))
    other = "http://crm-2.team-a.svc:8080/mcp"
    assert url(compiled(proxy(), toolhive(phase="Ready", url=other), before=before)) == other


def test_the_last_url_of_another_reference_is_not_used() -> None:
    before = compiled(proxy(), toolhive(**READY))
    other = proxy(kind="VirtualMCPServer")
    found = compiled(other, foreign(TOOLHIVE, "VirtualMCPServer", status={"phase": "Pending"}), before=before)
    assert condition(found)[:2] == ("False", "BackendNotReady")
    assert url(found) == URL  # the last accepted version, which refers to what it did
    assert found.statuses[PROXY].serves_last_accepted


def test_a_deleted_server_keeps_the_last_accepted_version_and_is_named() -> None:
    before = compiled(proxy(), toolhive(**READY))
    found = compiled(proxy(), before=before)
    assert url(found) == URL
    assert condition(found)[:2] == ("False", "BackendNotFound")
    assert "MCPServer.toolhive.stacklok.dev team-a/crm does not exist" in condition(found)[2]


def test_a_kind_that_no_setting_names_is_refused_with_those_that_are_known() -> None:
    found = compiled(proxy(group="example.com", kind="Tools"))
    assert condition(found)[:2] == ("False", "InvalidKind")
    assert "MCPServer.mcp.x-k8s.io" in condition(found)[2]


@pytest.mark.parametrize(
    ("why", "reason", "words"),
    [
        (MissingServer.FORBIDDEN, "NotPermitted", "no right to list mcpservers.toolhive.stacklok.dev in team-a"),
        (MissingServer.KIND_NOT_INSTALLED, "BackendNotFound", "does not serve mcpservers.toolhive.stacklok.dev"),
    ],
)
def test_what_cannot_be_read_is_a_condition_that_names_right_or_kind(
    why: MissingServer, reason: str, words: str
) -> None:
    key = ServerKey("toolhive.stacklok.dev", "MCPServer", "team-a", "crm")
    found = compile_resources(dataclasses.replace(resources(proxy()), servers={key: why}), {})
    assert condition(found)[:2] == ("False", reason)
    assert words in condition(found)[2]


@pytest.mark.parametrize(
    "published", ["http://crm.team-a.svc:8080/sse#crm", "http://crm.team-a.svc:8080/sse", f"{URL}#"]
)
@pytest.mark.parametrize("phase", ["Ready", "Pending"])
def test_a_server_that_speaks_the_superseded_transport_is_refused(published: str, phase: str) -> None:
    found = compiled(proxy(), toolhive(phase=phase, url=published))
    assert url(found) is None
    assert condition(found)[1] == "UnsupportedTransport"


@pytest.mark.parametrize(
    ("published", "words"),
    [
        ("ftp://crm.team-a.svc/mcp", "is not an absolute http or https URL"),
        ("http://user:canary-secret@crm.team-a.svc/mcp", "must not contain user information"),
        ("http://crm.team-a.svc/mcp?token=canary-secret", "looks like a credential"),
        ("http://0x7f000001/mcp", "disguised IPv4 address"),
        ("http://[::ffff:a9fe:a9fe]/latest", "disguised IPv4 address"),
        ("http://crm.team-a.svc:99999/mcp", "invalid host or port"),
        ("http://crm.team-a.svc/mcp\r\nX-Evil: 1", "percent-encoded"),
        ("http://crm.team-a.svc/mcp http://169.254.169.254", "percent-encoded"),
    ],
)
def test_a_published_url_is_judged_as_one_that_a_user_writes_and_never_repeated(published: str, words: str) -> None:
    found = compiled(proxy(), toolhive(phase="Ready", url=published))
    assert url(found) is None
    status, reason, message = condition(found)
    assert (status, reason) == ("False", "RefInvalid")
    assert words in message
    assert "canary" not in repr(found)


def test_tls_needs_a_url_with_https() -> None:
    found = compiled(proxy(tls={}), toolhive(**READY))
    assert condition(found)[1] == "RefInvalid"
    secure = "https://crm.team-a.svc:8443/mcp"
    assert url(compiled(proxy(tls={}), toolhive(phase="Ready", url=secure))) == secure


@pytest.mark.parametrize(
    "published",
    [
        "http://ostiary-default.ostiary-system.svc/team-a/crm/mcp",
        "http://ostiary-default.ostiary-system.svc.cluster.local:8080/team-a/crm/mcp",
        "http://OSTIARY-default.ostiary-system/x",
        "https://mcp.example.com/team-a/crm/mcp",
        "https://mcp.example.com:443/any",
        "https://agents.example.com:8443/x",
    ],
)
def test_a_url_of_our_own_gateway_would_be_a_loop(published: str) -> None:
    it = proxy()
    it["spec"]["hostnames"] = ["agents.example.com"]
    settings = gateway(externalURL="https://mcp.example.com")
    found = compiled(*settings, it, toolhive(phase="Ready", url=published))
    assert url(found) is None
    assert condition(found)[:2] == ("False", "UpstreamLoop")
    assert "gateway ostiary-system/default" in condition(found)[2]


def test_another_port_of_the_external_host_is_another_server() -> None:
    other = "https://mcp.example.com:9443/mcp"
    settings = gateway(externalURL="https://mcp.example.com")
    assert url(compiled(*settings, proxy(), toolhive(phase="Ready", url=other))) == other


def test_the_gateway_of_another_tenant_makes_no_loop_of_what_it_calls_its_own() -> None:
    labels = {"ostiary.dev/gateway": "own", "ostiary.dev/usage": "settings"}
    metadata = {"name": "own", "namespace": "mallory", "labels": labels}
    text = "externalURL: http://crm.team-a.svc.cluster.local:8080"
    theirs = [
        {"kind": "Service", "metadata": metadata},
        {"kind": "ConfigMap", "metadata": metadata, "data": {"settings.yaml": text}},
    ]
    assert url(compiled(*gateway(), *theirs, proxy(), toolhive(**READY))) == URL


ELSEWHERE: dict[str, Any] = {"ref": {"namespace": "crm"}}


def test_a_reference_to_another_namespace_needs_a_grant_there() -> None:
    server = toolhive("crm", phase="Ready", url=ABROAD)
    assert url(compiled(proxy(**ELSEWHERE), server, grant())) == ABROAD
    assert url(compiled(proxy(**ELSEWHERE), server, grant(to={"name": "crm"}))) == ABROAD
    found = compiled(proxy(**ELSEWHERE), server)
    assert condition(found)[:2] == ("False", "RefNotPermitted")
    assert url(found) is None


@pytest.mark.parametrize(
    "given",
    [
        grant(namespace="team-a"),
        grant(to={"name": "other"}),
        grant(to={"kind": "VirtualMCPServer"}),
        grant(to={"group": ""}),
        grant() | {"spec": {"from": [], "to": []}},
        grant() | {"spec": {"from": [{"group": "ostiary.dev", "kind": "MCPProxy", "namespace": "team-b"}], "to": [{}]}},
        grant(kind="HTTPRoute"),
        grant(group="gateway.networking.k8s.io"),
        grant() | {"spec": {"from": "MCPProxy", "to": {"kind": "MCPServer"}}},
        grant() | {"spec": None},
        grant(to={"name": {"*": "*"}}),
    ],
)
def test_a_grant_of_something_else_permits_nothing(given: dict[str, Any]) -> None:
    found = compiled(proxy(**ELSEWHERE), toolhive("crm", phase="Ready", url=ABROAD), given)
    assert condition(found)[:2] == ("False", "RefNotPermitted")


def test_without_a_grant_nothing_is_said_of_what_exists_there() -> None:
    server = toolhive("crm", phase="Ready", url=ABROAD)
    assert condition(compiled(proxy(**ELSEWHERE), server)) == condition(compiled(proxy(**ELSEWHERE)))


def test_a_withdrawn_grant_ends_the_use_at_once() -> None:
    server = toolhive("crm", phase="Ready", url=ABROAD)
    before = compiled(proxy(**ELSEWHERE), server, grant())
    found = compiled(proxy(**ELSEWHERE), server, before=before)
    assert url(found) is None
    assert condition(found)[:2] == ("False", "RefNotPermitted")


def test_a_withdrawn_grant_ends_the_use_of_a_version_that_is_only_kept() -> None:
    server = toolhive("crm", phase="Ready", url=ABROAD)
    before = compiled(proxy(**ELSEWHERE), server, grant())
    broken = proxy(**ELSEWHERE)
    broken["spec"]["servers"][0]["timeouts"] = {"request": "soon"}
    assert url(compiled(broken, server, grant(), before=before)) == ABROAD
    assert url(compiled(broken, server, before=before)) is None


MULTI = gateway(tenancy="Multi")


def test_in_multi_a_server_of_the_namespace_needs_no_grant_and_one_outside_does() -> None:
    assert url(compiled(*MULTI, proxy(), toolhive(**READY))) == URL
    for outside in ("http://crm.team-b.svc:8080/mcp", "http://169.254.169.254/mcp", "https://mcp.example.com/mcp"):
        found = compiled(*MULTI, proxy(), toolhive(phase="Ready", url=outside))
        assert url(found) is None
        assert condition(found, "Accepted")[:2] == ("False", "UpstreamNotPermitted")


def test_in_multi_a_reference_grant_opens_the_namespace_of_the_resource_and_no_other() -> None:
    assert url(compiled(*MULTI, proxy(**ELSEWHERE), toolhive("crm", phase="Ready", url=ABROAD), grant())) == ABROAD
    for outside in (URL, "http://crm.team-b.svc:8080/mcp", "http://10.0.0.1/mcp"):
        found = compiled(*MULTI, proxy(**ELSEWHERE), toolhive("crm", phase="Ready", url=outside), grant())
        assert url(found) is None
        assert condition(found, "Accepted")[:2] == ("False", "UpstreamNotPermitted")


def test_the_last_url_is_judged_by_the_rules_of_today() -> None:
    outside = "http://crm.team-b.svc:8080/mcp"
    before = compiled(proxy(), toolhive(phase="Ready", url=outside))
    assert url(before) == outside
    assert url(compiled(*MULTI, proxy(), toolhive(phase="Failed"), before=before)) is None


def test_a_credential_is_sent_to_the_published_host_only_where_its_owner_permits_it() -> None:
    secret = {
        "kind": "Secret",
        "metadata": {
            "name": "t",
            "namespace": "team-a",
            "uid": "1",
            "resourceVersion": "1",
            "labels": {"ostiary.dev/usage": "credential"},
            "annotations": {"ostiary.dev/hosts": "crm.team-a.svc.cluster.local"},
        },
        "data": {"k": "YWJjZGVmZ2g="},
    }
    it = proxy(credential={"bearer": {"secretRef": {"name": "t", "key": "k"}}})
    before = compiled(it, toolhive(**READY), secret)
    assert url(before) == URL
    found = compiled(it, toolhive(phase="Ready", url="http://evil.team-a.svc/mcp"), secret, before=before)
    assert condition(found)[:2] == ("False", "HostNotPermitted")
    assert url(found) == URL


def test_servers_with_and_without_references_stand_side_by_side() -> None:
    it = proxy(prefix="a_")
    it["spec"]["serverSelection"] = "Merge"
    it["spec"]["servers"].append({"name": "plain", "url": "http://plain.team-a.svc/mcp", "prefix": "b_"})
    found = compiled(it, toolhive(**READY))
    entry = found.configs[GATEWAY].entries["team-a/crm"]
    assert [server.url for server in entry.servers] == [URL, "http://plain.team-a.svc/mcp"]
    assert [server.reference for server in entry.servers] == ["toolhive.stacklok.dev/MCPServer/team-a/crm", None]


def test_the_same_input_gives_the_same_bytes_in_any_order() -> None:
    objects = [proxy(**ELSEWHERE), toolhive("crm", phase="Ready", url=ABROAD), grant(), *gateway()]
    first = compiled(*objects).configs[GATEWAY].entries["team-a/crm"]
    assert compiled(*reversed(objects)).configs[GATEWAY].entries["team-a/crm"] == first


def test_what_is_read_is_what_proxies_and_their_kept_versions_refer_to() -> None:
    here = ServerKey("toolhive.stacklok.dev", "MCPServer", "team-a", "crm")
    configs = compiled(proxy(), toolhive(**READY)).configs
    assert wanted_servers([proxy()], {}, Cache()) == {WantedServer("team-a", here)}
    broken = proxy(timeouts={"request": "soon"})
    assert wanted_servers([broken], configs, Cache()) == {WantedServer("team-a", here)}
    other = broken | {"metadata": {**broken["metadata"], "uid": "another"}}
    assert wanted_servers([other], configs, Cache()) == set()
    assert wanted_servers([], configs, Cache()) == set()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("VirtualMCPServer", "/mcp"), ("MCPRemoteProxy", "")],
)
@pytest.mark.parametrize("end", ["", "/"])
def test_a_url_without_a_path_gets_that_of_its_kind(kind: str, expected: str, end: str) -> None:
    bare = "http://vmcp-crm.team-a.svc.cluster.local:4483"
    found = compiled(proxy(kind=kind), foreign(TOOLHIVE, kind, status={"phase": "Ready", "url": f"{bare}{end}"}))
    assert url(found) == f"{bare}{expected or end}"
