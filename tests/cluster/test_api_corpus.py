"""The real API server judges the corpus as the models do; where it cannot, the difference is written down here."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_corpus import Case, cases
from hypothesis import given, settings
from hypothesis import strategies as st
from timeouts import TIMEOUT_SECONDS

from ostiary_operator.api.load import InvalidResource, parse_lock, parse_policy, parse_proxy
from ostiary_operator.api.resources import API_VERSION, LOCK_KIND, POLICY_KIND, PROXY_KIND
from ostiary_tools.cluster.api import ApiError, KubeApi
from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.processes import wait_until

CRDS = Path(__file__).parents[2] / "crds"
PLURALS = {PROXY_KIND: "mcpproxies", POLICY_KIND: "mcppolicies", LOCK_KIND: "mcplocks"}
PARSERS = {PROXY_KIND: parse_proxy, POLICY_KIND: parse_policy, LOCK_KIND: parse_lock}


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> KubeApi:
    control_plane.apply_crds(CRDS)
    return control_plane.api


def create(api: KubeApi, document: dict[str, Any]) -> dict[str, Any]:
    """Create an object without keeping it; what comes back is what would have been stored."""
    path = f"/apis/{API_VERSION}/namespaces/default/{PLURALS[document['kind']]}"
    stored: dict[str, Any] = api.request("POST", f"{path}?dryRun=All&fieldValidation=Strict", document)
    return stored


def policy(**spec: Any) -> dict[str, Any]:
    metadata = {"name": "read-only"}
    return {"apiVersion": API_VERSION, "kind": POLICY_KIND, "metadata": metadata, "spec": spec}


def rule(**parts: Any) -> dict[str, Any]:
    return policy(access={"rules": [{"name": "a", "effect": "Allow", **parts}]})


def proxy(**server: Any) -> dict[str, Any]:
    spec = {"servers": [{"name": "crm", **server}]}
    return {"apiVersion": API_VERSION, "kind": PROXY_KIND, "metadata": {"name": "crm"}, "spec": spec}


@pytest.mark.parametrize("case", cases("good"), ids=lambda case: case.name)
def test_the_api_server_accepts_a_good_manifest(case: Case, api: KubeApi) -> None:
    create(api, case.document)


@pytest.mark.parametrize("case", cases("good"), ids=lambda case: case.name)
def test_the_stored_object_means_the_same_as_the_manifest(case: Case, api: KubeApi) -> None:
    parse = PARSERS[case.kind]
    assert parse(create(api, case.document)).spec == parse(case.document).spec


@pytest.mark.parametrize("case", cases("bad"), ids=lambda case: case.name)
def test_the_api_server_refuses_a_bad_manifest_and_blames_its_field(case: Case, api: KubeApi) -> None:
    with pytest.raises(ApiError) as refused:
        create(api, case.document)
    assert refused.value.status in {400, 422}  # 400: an unknown field
    assert case.field in str(refused.value)


STRICTER = {
    "an expression that is too large": rule(tools={"patterns": [r"\pL{100}"]}),
    "a Unicode class that only Go knows": rule(tools={"patterns": [r"\p{Letter}"]}),
    "an access without a value": policy(access=None),
    "a selector without a value": policy(targetSelector=None),
    "a primitive without a value": rule(tools=None),
    "names without a value": rule(tools={"names": None}),
    "a label without a value": policy(targetSelector={"matchLabels": {"team": None}}),
    "tls without a value": proxy(service={"name": "crm", "port": 443}, tls=None),
}


@pytest.mark.parametrize("sentence", STRICTER)
def test_the_models_refuse_what_the_api_server_lets_pass(sentence: str, api: KubeApi) -> None:
    document = STRICTER[sentence]
    stored = create(api, document)
    with pytest.raises(InvalidResource):
        PARSERS[document["kind"]](stored)


def test_a_null_is_the_default_where_there_is_one(api: KubeApi) -> None:
    stored = create(api, proxy(url="https://mcp.example.com/mcp", timeouts={"connect": None, "idle": "1s"}))
    assert stored["spec"]["servers"][0]["timeouts"] == {"idle": "1s"}
    timeouts = parse_proxy(stored).spec.servers[0].timeouts
    assert [str(each) for each in (timeouts.connect, timeouts.request, timeouts.idle)] == ["5s", "2m", "1s"]


def test_a_spec_stays_as_it_was_applied_and_defaults_are_filled_in_by_the_models(api: KubeApi) -> None:
    tls = {"caCertificateRefs": [{"kind": "Secret", "name": "ca"}]}
    document = proxy(service={"name": "crm", "port": 443}, tls=tls)
    stored = create(api, document)
    assert stored["spec"] == document["spec"]
    (server,) = parse_proxy(stored).spec.servers
    assert server.service is not None
    assert server.service.path is None, "which path that is depends on openapi"
    assert str(server.timeouts.connect) == "5s"
    assert server.tls is not None
    assert server.tls.ca_certificate_refs is not None
    assert server.tls.ca_certificate_refs[0].key == "ca.crt"
    targets = policy(targetRefs=[{"kind": "MCPProxy", "name": "crm"}])
    assert create(api, targets)["spec"] == targets["spec"]


def test_an_absent_key_is_the_same_as_the_default_one(api: KubeApi) -> None:
    twice = [{"kind": "Secret", "name": "ca"}, {"kind": "Secret", "name": "ca", "key": "ca.crt"}]
    with pytest.raises(ApiError, match="the same kind, name, key as an earlier item"):
        create(api, proxy(service={"name": "crm", "port": 443}, tls={"caCertificateRefs": twice}))


def explain(control_plane: ControlPlane, field: str) -> str:
    """Return what kubectl explains: the API server publishes schemas some time after the definitions."""
    found: list[str] = []

    def is_published() -> bool:
        with suppress(ToolError):
            found.append(control_plane.kubectl("explain", field))
        return bool(found)

    wait_until(is_published, what="the API server to publish the schemas", timeout=TIMEOUT_SECONDS)
    return found[0]


def test_explain_names_the_defaults(control_plane: ControlPlane, api: KubeApi) -> None:
    explanation = explain(control_plane, "mcpproxy.spec.servers.timeouts")
    for words in ("Default: `5s`.", "Default: `2m`.", "Default: `5m`."):
        assert words in " ".join(explanation.split())


@pytest.mark.parametrize(
    ("rules", "patterns", "length"), [(256, 32, 3), (256, 6, 256)], ids=["most-patterns", "longest-patterns"]
)
def test_the_fullest_policy_stays_within_the_budget_of_the_api_server_and_beyond_that_of_the_operator(
    api: KubeApi, rules: int, patterns: int, length: int
) -> None:
    selection = {"patterns": [f"{index:02d}".ljust(length, "a") for index in range(patterns)]}
    primitives = {"tools": selection, "resources": selection, "prompts": selection}
    full = policy(access={"rules": [{"name": f"r{i}", "effect": "Deny", **primitives} for i in range(rules)]})
    create(api, full)
    with pytest.raises(InvalidResource, match="holds more than 256 patterns"):
        parse_policy(full)


def test_kubectl_shows_the_columns(control_plane: ControlPlane, api: KubeApi, namespace: str) -> None:
    path = f"/apis/{API_VERSION}/namespaces/{namespace}/mcpproxies"
    api.request("POST", path, proxy(url="https://mcp.example.com/mcp"))
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Ready",
        "message": "",
        "lastTransitionTime": "2026-11-21T08:00:00Z",
    }
    status = {
        "url": "https://gw.example.com/crm/mcp",
        "programmed": "default 2/2",
        "policyCount": 0,
        "conditions": [ready],
    }
    api.request("PATCH", f"{path}/crm/status", {"status": status})

    head, row = control_plane.kubectl("get", "mpx", "-n", namespace).splitlines()

    assert head.split() == ["NAME", "URL", "READY", "REASON", "POLICIES", "GATEWAYS", "AGE"]
    assert row.split()[:7] == ["crm", "https://gw.example.com/crm/mcp", "True", "Ready", "0", "default", "2/2"]
    assert "mcpproxy.ostiary.dev/crm" in control_plane.kubectl("get", "ostiary", "-n", namespace, "-o", "name")


def with_path(path: str) -> dict[str, Any]:
    document = proxy(url="http://a/mcp")
    document["spec"]["path"] = path
    return document


#: Each makes a manifest of a text; a good text is there to be mutated.
FIELDS: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "url": ("https://[2001:db8::1]:8080/a%20b", lambda text: proxy(url=text)),
    "service path": ("/v1/mcp", lambda text: proxy(service={"name": "a", "port": 80, "path": text})),
    "timeout": ("1m500ms", lambda text: proxy(url="http://a/mcp", timeouts={"request": text})),
    "server name": ("3.mcp.example.com", lambda text: proxy(url="https://a/mcp", tls={"hostname": text})),
    "path": ("/a-b/.c/mcp/~d", with_path),
    "rule name": ("read-only", lambda text: policy(access={"rules": [{"name": text, "effect": "Deny"}]})),
    "name": ("read_*", lambda text: rule(tools={"names": [text]})),
    "label key": ("example.com/team", lambda text: policy(targetSelector={"matchLabels": {text: "a"}})),
    "label value": ("a.B_c", lambda text: policy(targetSelector={"matchLabels": {"team": text}})),
}
PIECES = st.sampled_from(
    [*"azAZ09.-_~/:@?#%[]*+ \n\\é\x00", "..", "/mcp", "/.well-known", "::ffff:", "0x7f", "99999h", "0ms"]
)


def mutations(seed: str) -> st.SearchStrategy[str]:
    """The text with a piece of it replaced by a few others."""

    def spliced(start: int, length: int, pieces: list[str]) -> str:
        return seed[:start] + "".join(pieces) + seed[start + length :]

    cut = st.integers(0, len(seed))
    return st.builds(spliced, cut, st.integers(0, 3), st.lists(PIECES, max_size=3))


def is_accepted(judge: Callable[[dict[str, Any]], object], document: dict[str, Any]) -> bool:
    try:
        judge(document)
    except (ApiError, InvalidResource):
        return False
    return True


@pytest.mark.parametrize("field", FIELDS)
def test_both_judge_any_text_alike(field: str, api: KubeApi) -> None:
    seed, manifest = FIELDS[field]

    @settings(max_examples=150, deadline=None)
    @given(mutations(seed))
    def compare(text: str) -> None:
        document = manifest(text)
        by_models = is_accepted(PARSERS[document["kind"]], document)
        assert by_models == is_accepted(lambda it: create(api, it), document)

    compare()


def test_no_expression_passes_the_models_that_the_api_server_refuses(api: KubeApi) -> None:
    seed = r"(?i)a{1,3}[^b-d\d]|\Q*\E(?P<n>x)*?"

    @settings(max_examples=300, deadline=None)
    @given(mutations(seed))
    def compare(text: str) -> None:
        document = rule(tools={"patterns": [text]})
        assert is_accepted(lambda it: create(api, it), document) or not is_accepted(parse_policy, document)

    compare()


@pytest.mark.parametrize("resource", ["mcpproxy", "mcppolicy"])
def test_kubectl_explains_every_kind(control_plane: ControlPlane, api: KubeApi, resource: str) -> None:
    assert "DESCRIPTION" in explain(control_plane, f"{resource}.spec")


@pytest.mark.parametrize("file", sorted(CRDS.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_api_server_stores_a_definition_as_it_was_applied(control_plane: ControlPlane, file: Path) -> None:
    applied = yaml.safe_load(file.read_text())
    stored = yaml.safe_load(control_plane.kubectl("get", "crd", applied["metadata"]["name"], "-o", "yaml"))
    assert stored["spec"]["versions"] == applied["spec"]["versions"]
