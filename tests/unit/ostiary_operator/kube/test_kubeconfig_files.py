import base64
import contextlib
import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ostiary_operator.kube.errors import Unreachable
from ostiary_operator.kube.kubeconfig_files import ApiServerAccess, access, contexts

SECONDS = 100.0


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def kubeconfig(path: Path, *, user: dict[str, Any] | None = None, name: str = "here", **cluster: Any) -> str:
    document = {
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "sales"}}],
        "clusters": [{"name": name, "cluster": {"server": f"http://{name}:1", **cluster}}],
        "users": [{"name": name, "user": user or {}}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return str(path)


def opened(file: str) -> ApiServerAccess:
    return access(file, None, seconds=SECONDS)


def test_server_namespace_and_token_are_those_of_the_context(tmp_path: Path) -> None:
    found = opened(kubeconfig(tmp_path / "config", user={"token": "hunter2"}))
    assert (found.server, found.namespace, found.headers["Authorization"]) == (
        "http://here:1",
        "sales",
        "Bearer hunter2",
    )
    assert "hunter2" not in repr(found)


def test_several_files_are_one_and_the_first_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = kubeconfig(tmp_path / "a"), kubeconfig(tmp_path / "b", name="there")
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'missing'}:{second}")
    assert contexts(None) == ["here", "there"]
    assert access(None, None, seconds=SECONDS).server == "http://here:1"
    assert access(None, "there", seconds=SECONDS).server == "http://there:1"


def test_paths_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "below" / "config", user={"tokenFile": "token"})
    (tmp_path / "below" / "token").write_text("hunter2\n")
    assert opened(file).headers == {"Authorization": "Bearer hunter2"}


def test_a_user_with_a_password_is_sent_as_basic_authentication(tmp_path: Path) -> None:
    found = opened(kubeconfig(tmp_path / "config", user={"username": "me", "password": "hunter2"}))
    assert found.headers == {"Authorization": f"Basic {base64.b64encode(b'me:hunter2').decode()}"}


def program(path: Path, answer: dict[str, Any]) -> dict[str, Any]:
    """A credential plugin that answers so."""
    path.write_text(f"#!{sys.executable}\nprint({json.dumps(answer)!r})\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(path)}}


def test_a_program_is_asked_for_the_token(tmp_path: Path) -> None:
    user = program(tmp_path / "login", {"status": {"token": "hunter2"}})
    assert opened(kubeconfig(tmp_path / "config", user=user)).headers == {"Authorization": "Bearer hunter2"}


@pytest.mark.parametrize("answer", [{}, {"status": None}, {"status": {"token": ["a"]}}])
def test_a_program_that_answers_no_token_is_no_accident(tmp_path: Path, answer: dict[str, Any]) -> None:
    file = kubeconfig(tmp_path / "config", user=program(tmp_path / "login", answer))
    with contextlib.suppress(Unreachable):
        assert "hunter2" not in repr(opened(file))


def test_a_program_that_needs_a_person_is_not_started(tmp_path: Path) -> None:
    user = program(tmp_path / "login", {"status": {"token": "hunter2"}})
    user["exec"]["interactiveMode"] = "Always"
    with pytest.raises(Unreachable, match="needs a person"):
        opened(kubeconfig(tmp_path / "config", user=user))


def test_a_client_certificate_is_loaded_from_the_file_itself_and_leaves_no_key_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=me",
    ]
    subprocess.run([*make, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    encoded = {
        "client-certificate-data": base64.b64encode(certificate.read_bytes()).decode(),
        "client-key-data": base64.b64encode(key.read_bytes()).decode(),
    }
    authority = base64.b64encode(certificate.read_bytes()).decode()
    file = kubeconfig(
        tmp_path / "config", user=encoded, server="https://here", **{"certificate-authority-data": authority}
    )
    assert opened(file).tls is not None
    assert list(temporary.iterdir()) == []


def test_a_pod_uses_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in {"token": "hunter2", "namespace": "ostiary-system", "ca.crt": ""}.items():
        (tmp_path / name).write_text(content)
    monkeypatch.setattr("ostiary_operator.kube.kubeconfig_files._POD", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(Unreachable, match="cannot be used"):  # an empty file is no certificate authority
        access(None, None, seconds=SECONDS)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "clusters: 7", "current-context: gone", "current-context: a\ncontexts: [{name: a, context: {}}]"],
)
def test_a_file_that_is_no_kubeconfig_is_an_error_and_no_accident(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(Unreachable):
        opened(str(file))
