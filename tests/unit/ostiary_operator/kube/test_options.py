import argparse
from pathlib import Path

import kopf
import pytest

from ostiary_operator.kube import credentials
from ostiary_operator.kube.errors import Unreachable
from ostiary_operator.kube.informer import Login
from ostiary_operator.kube.options import OperatorOptions, add_arguments, from_arguments


def options(*arguments: str) -> OperatorOptions:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    return from_arguments(parser.parse_args(arguments))


def test_the_pod_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAMESPACE", "ostiary-system")
    assert options().operator_namespace == "ostiary-system"
    assert options().namespaces is None


def test_without_a_namespace_of_its_own_the_operator_names_the_missing_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POD_NAMESPACE", raising=False)
    with pytest.raises(ValueError, match="--operator-namespace or POD_NAMESPACE"):
        options()


def test_watched_namespaces_come_with_the_operators_own() -> None:
    it = options("--operator-namespace=sys", "--watch-namespace=b", "--watch-namespace=a", "--watch-namespace=b")
    assert it.watch_namespaces == ("a", "b")
    assert it.namespaces == ("a", "b", "sys")


def test_replicas_are_listed_by_gateway() -> None:
    it = options(
        "--operator-namespace=s", "--gateway-replicas", "s/default=http://127.0.0.1:8081,http://127.0.0.1:8091/"
    )
    assert it.gateway_replicas == {"s/default": ("http://127.0.0.1:8081", "http://127.0.0.1:8091")}


def test_the_admin_address_is_a_host_and_a_port() -> None:
    it = options("--operator-namespace=s", "--admin-address=[::1]:0")
    assert (it.admin_host, it.admin_port) == ("::1", 0)
    assert options("--operator-namespace=s").admin_port == 8082


@pytest.mark.parametrize(
    "bad",
    [
        "--watch-namespace=Not_A_Name",
        "--gateway-replicas=default=http://127.0.0.1:1",
        "--gateway-replicas=s/default=127.0.0.1:1",
        "--admin-address=8082",
        "--admin-address=h:99999",
    ],
)
def test_a_bad_value_is_refused_by_name(bad: str) -> None:
    with pytest.raises((argparse.ArgumentError, SystemExit), match=bad.partition("=")[0]):
        options("--operator-namespace=s", bad)


async def test_without_any_credentials_the_searched_places_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(Unreachable, match="set --kubeconfig or KUBECONFIG"):
        await credentials.load(options("--operator-namespace=s"))


@pytest.mark.parametrize("text", ["", "{", "apiVersion: v1\nkind: Config\n"])
async def test_a_broken_kubeconfig_is_reported(tmp_path: Path, text: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    with pytest.raises(Unreachable, match="cannot be used"):
        await credentials.load(options("--operator-namespace=s", f"--kubeconfig={file}"))


async def test_kopf_gets_the_same_server_and_token(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(
        """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:6443", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: tok}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""
    )
    login = Login(options("--operator-namespace=s", f"--kubeconfig={file}"), (), lambda: None)
    info = await login.log_in()
    assert info.server == "https://127.0.0.1:6443"
    assert info.aiohttp_session.headers["Authorization"] == "Bearer tok"
    await login.close()
    assert info.aiohttp_session.closed


async def test_kopf_receives_the_reason_why_it_cannot_log_in(tmp_path: Path) -> None:
    login = Login(options("--operator-namespace=s", f"--kubeconfig={tmp_path / 'none'}"), (), lambda: None)
    with pytest.raises(kopf.LoginError, match="cannot be used"):
        await login.log_in()
