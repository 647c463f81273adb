"""What `ostiary run` says of an MCPProxy when it starts."""

from pathlib import Path

from ostiary_operator.local import manifests
from ostiary_operator.local.project import Project
from ostiary_operator.local.welcome import EndpointSummary, curl, endpoint_summaries

SERVERS = """
  servers:
  - {name: mock, %s url: "http://localhost:7878/mcp"}
  - {name: elsewhere, %s url: "https://mcp.example.com/mcp"}
"""


def summary(tmp_path: Path, spec: str) -> EndpointSummary:
    head = "apiVersion: ostiary.dev/v1alpha1\nkind: MCPProxy\nmetadata: {name: tools}\nspec:\n"
    (tmp_path / "proxy.yaml").write_text(head + spec)
    project = Project(operator_namespace="ostiary-system", base_url="http://localhost:8080", mock_ports={7878: 7878})
    state = project.update(manifests.read_all([str(tmp_path)], namespace="default"))
    assert state.errors == ()
    (found,) = endpoint_summaries(state, mock_ports={7878: None})
    return found


def test_one_server_is_shown_by_its_url(tmp_path: Path) -> None:
    found = summary(tmp_path, '  servers: [{name: mock, url: "http://localhost:7878/mcp"}]\n')
    assert found.server == "http://localhost:7878/mcp"
    assert found.sample is not None
    assert found.sample.tool == "get_users"


def test_merged_servers_are_shown_with_their_prefixes_and_the_sample_call_has_one(tmp_path: Path) -> None:
    found = summary(tmp_path, "  serverSelection: Merge" + SERVERS % ("prefix: mock_,", 'prefix: "",'))
    assert found.server == "one catalogue of mock (mock_*), elsewhere"
    assert "'Mcp-Name: mock_get_users'" in curl(found)


def test_routed_servers_have_a_sample_call_only_where_it_works_at_each(tmp_path: Path) -> None:
    rules = "  routing: [{name: all, servers: [mock, elsewhere]}]\n"
    found = summary(tmp_path, "  serverSelection: Route" + SERVERS % ("", "") + rules)
    assert found.server == "one of mock, elsewhere, by spec.routing"
    assert found.sample is None
