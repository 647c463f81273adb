"""One real control plane for all tests in this folder, and namespaces of its own for each; a stack where asked for."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from operator_environment import CRDS, OperatorEnvironment
from operator_replicas import chart_rights

from ostiary_tools.cluster.api import ApiError
from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.cluster.stack import EXAMPLE
from ostiary_tools.common.processes import wait_until
from ostiary_tools.toolchain import binaries, foreign_crds, gitops_health

_HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.cluster)


def pytest_collection_finish(session: pytest.Session) -> None:
    # Here and not in a fixture: a first build takes minutes, and a test's timeout counts its fixtures.
    wanted = any(item.get_closest_marker("cluster") for item in session.items)
    if wanted and not session.config.option.collectonly:
        with session.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            binaries.ensure()
            foreign_crds.ensure()
            gitops_health.ensure()


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("control-plane")) as running:
        yield running


@pytest.fixture
def new_namespace(control_plane: ControlPlane) -> Iterator[Callable[..., str]]:
    """Makes a fresh namespace with the labels given as a dict, if any; returns its name."""
    names: list[str] = []

    def make(labels: dict[str, str] | None = None) -> str:
        metadata = {"generateName": "test-", "labels": labels or {}}
        name: str = control_plane.api.request("POST", "/api/v1/namespaces", {"metadata": metadata})["metadata"]["name"]
        names.append(name)
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"  # no Pod is admitted before it is there
        wait_until(lambda: control_plane.api.answers(account), what=f"the service account of {name}")
        return name

    yield make
    for name in names:
        with contextlib.suppress(ApiError):  # the test deleted it itself
            control_plane.api.request("DELETE", f"/api/v1/namespaces/{name}")  # continues in the background


@pytest.fixture
def namespace(new_namespace: Callable[..., str]) -> str:
    return new_namespace()


@pytest.fixture
def unrestricted(control_plane: ControlPlane, new_namespace: Callable[..., str]) -> OperatorEnvironment:
    """What an operator works on: two namespaces and a gateway. It would have the administrator's rights."""
    control_plane.apply_crds(CRDS)
    it = OperatorEnvironment(control_plane.api, control_plane.kubeconfig, system=new_namespace(), team=new_namespace())
    it.has_gateway()
    return it


@pytest.fixture
def world(control_plane: ControlPlane, unrestricted: OperatorEnvironment) -> Iterator[OperatorEnvironment]:
    """The same, with exactly the rights that the chart gives an operator."""
    with chart_rights(control_plane, unrestricted):
        yield unrestricted


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """The whole stack with the proxy of the example, one for each module, since tests break what they find."""
    with LocalCluster(tmp_path_factory.mktemp("cluster")) as running:
        running.apply(EXAMPLE)
        running.wait_until_ready()
        yield running
