import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from ostiary_tools.cluster import certificates, components, control_plane, crds
from ostiary_tools.common import private


def test_a_private_file_is_the_owners_alone_even_where_another_file_was(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.touch(mode=0o644)
    private.write(path, "new")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == "new"


def test_a_kubeconfig_stands_alone() -> None:
    text = control_plane.render_kubeconfig(
        url="https://127.0.0.1:1", authority=b"PEM", token="t", user="me", namespace="ns"
    )
    config = yaml.safe_load(text)
    assert config["clusters"][0]["cluster"] == {
        "server": "https://127.0.0.1:1",
        "certificate-authority-data": "UEVN",
    }
    assert config["contexts"][0]["context"]["namespace"] == "ns"
    assert config["current-context"] == config["contexts"][0]["name"]


@pytest.fixture
def certs(tmp_path: Path) -> Path:
    certificates.write_authority_and_server(tmp_path, names=["localhost"], addresses=["127.0.0.1"])
    certificates.write_service_account_keys(tmp_path)
    return tmp_path


def test_a_strict_client_trusts_the_server_at_its_address(certs: Path) -> None:
    client = ssl.create_default_context(cafile=str(certs / "ca.crt"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certs / "server.crt", certs / "server.key")
    assert handshake(client, server, name="127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        handshake(client, server, name="127.0.0.2")


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, *, name: str) -> bool:
    """Shake hands in memory; whether both sides finished."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    pending = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(10):
        for side in tuple(pending):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            pending.remove(side)
    return not pending


def test_private_keys_are_the_owners_alone(certs: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o077 for path in certs.glob("*.key")}
    assert modes == {"server.key": 0, "sa.key": 0}


def test_the_authority_cannot_make_further_authorities(certs: Path) -> None:
    authority = x509.load_pem_x509_certificate((certs / "ca.crt").read_bytes())
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)


def test_every_component_keeps_to_this_machine() -> None:
    commands = (components.etcd(Path("e")), components.api_server(Path("a"), port=1))
    addresses = [str(flag) for command in commands for flag in command if "://" in str(flag) or "bind" in str(flag)]
    assert addresses
    assert all("unix://" in address or "127.0.0.1" in address for address in addresses)
    assert "--secure-port=0" in components.controller_manager(Path("c"))


def test_definitions_are_found_among_other_documents(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text("kind: CustomResourceDefinition\nname: b\n---\n---\nkind: Service\n")
    (tmp_path / "a.yaml").write_text("kind: CustomResourceDefinition\nname: a\n")
    (tmp_path / "c.txt").write_text("kind: CustomResourceDefinition\nname: c\n")
    assert [definition["name"] for definition in crds.read(tmp_path)] == ["a", "b"]
    assert [definition["name"] for definition in crds.read(tmp_path / "b.yml")] == ["b"]


@pytest.mark.parametrize("module", ["toolchain.binaries", "toolchain.node", "toolchain.go_module"])
def test_each_command_explains_itself(module: str) -> None:
    tools = Path(sys.modules["ostiary_tools"].__path__[0]).parent
    command = [sys.executable, "-m", f"ostiary_tools.{module}", "--help"]
    done = subprocess.run(command, cwd=tools, check=True, capture_output=True, text=True)
    assert f"usage: python -m ostiary_tools.{module}" in done.stdout
