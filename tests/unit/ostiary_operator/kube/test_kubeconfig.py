from pathlib import Path

import pytest
import yaml

from ostiary_operator.kube.errors import Unreachable
from ostiary_operator.kube.kubeconfig import Credentials, namespace, opened


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def kubeconfig(path: Path, **contexts: str | None) -> Path:
    """A kubeconfig whose contexts have these namespaces; the first is the current one."""
    listed = [
        {"name": name, "context": {"cluster": name, "user": name} | ({"namespace": where} if where else {})}
        for name, where in contexts.items()
    ]
    document = {
        "current-context": next(iter(contexts)),
        "contexts": listed,
        "clusters": [{"name": name, "cluster": {"server": "https://127.0.0.1:1"}} for name in contexts],
        "users": [{"name": name, "user": {"token": "hunter2"}} for name in contexts],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_namespace_is_the_contexts_or_default(tmp_path: Path) -> None:
    file = str(kubeconfig(tmp_path / "config", here="sales", there=None))
    assert namespace(Credentials(file)) == "sales"
    assert namespace(Credentials(file, "there")) == "default"


def test_several_kubeconfigs_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = kubeconfig(tmp_path / "a", here="sales"), kubeconfig(tmp_path / "b", there="support")
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'missing'}:{second}")
    assert namespace(Credentials(context="there")) == "support"


def test_the_usual_place_is_the_home(tmp_path: Path) -> None:
    kubeconfig(tmp_path / "home" / ".kube" / "config", here="sales")
    assert namespace(Credentials()) == "sales"


def test_a_context_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    file = str(kubeconfig(tmp_path / "config", here="sales"))
    with pytest.raises(Unreachable, match="no context 'there'; it has here") as error:
        namespace(Credentials(file, "there"))
    assert "hunter2" not in str(error.value)


async def test_a_kubeconfig_that_is_not_there_is_named() -> None:
    with pytest.raises(Unreachable, match=r"there is no kubeconfig at ~/\.kube/config: set --kubeconfig or KUBECONFIG"):
        async with opened(Credentials()):
            pass


@pytest.mark.parametrize("text", ["", "[]", "{", "contexts: 7", "current-context: gone"])
def test_a_file_that_is_no_kubeconfig_is_an_error_and_no_accident(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(Unreachable, match="cannot be used"):
        namespace(Credentials(str(file)))
