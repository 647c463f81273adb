"""Reads kubeconfig files without the official client, for the completion in a shell.

The import of that client alone takes longer than a shell may wait for names; every other command uses
:mod:`ostiary_operator.kube.kubeconfig`. What is read is what kubectl reads: several files of KUBECONFIG are one, the
first that names something decides, and paths are relative to their file. Users that need a program are asked through
it (``exec``), unless it needs a person.
"""

import base64
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from ostiary_operator.kube.errors import Unreachable

_POD: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_USUAL_FILE: Final = "~/.kube/config"
_DEFAULT: Final = "default"
_MOST_BYTES: Final = 4 << 20
_LOADER: Final = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_SHAPE: Final = (AttributeError, KeyError, TypeError, ValueError, OSError, yaml.YAMLError, subprocess.SubprocessError)


@dataclass(frozen=True, slots=True)
class ApiServerAccess:
    """How one API server is reached, and as whom. ``headers`` hold credentials."""

    server: str
    namespace: str
    tls: ssl.SSLContext | None
    headers: Mapping[str, str] = field(repr=False)
    proxy: str | None = None


def contexts(kubeconfig: str | None) -> list[str]:
    """Return the names of the contexts of the kubeconfig files, in order.

    Raises:
        Unreachable: there is no file, or one that is no kubeconfig.
    """
    try:
        return [str(each["name"]) for each in _Kubeconfig(kubeconfig).entries("contexts")]
    except _SHAPE as error:
        raise Unreachable(f"the kubeconfig cannot be used: {error}") from None


def access(kubeconfig: str | None, context: str | None, *, seconds: float) -> ApiServerAccess:
    """Return how the API server of a context is reached; None for the defaults, as for kubectl.

    ``seconds`` bounds a program that gives the credentials.

    Raises:
        Unreachable: there are no credentials, or they cannot be used here.
    """
    try:
        if kubeconfig is None and not os.environ.get("KUBECONFIG") and os.environ.get("KUBERNETES_SERVICE_HOST"):
            return _of_pod(os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443"))
        return _Kubeconfig(kubeconfig).access(context, seconds=seconds)
    except _SHAPE as error:
        raise Unreachable(f"the credentials for the API server cannot be used: {error}") from None


def _of_pod(host: str, port: str) -> ApiServerAccess:
    token = (_POD / "token").read_text().strip()
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    tls = _tls({"certificate-authority": str(_POD / "ca.crt")}, {})
    return ApiServerAccess(server, (_POD / "namespace").read_text().strip(), tls, {"Authorization": f"Bearer {token}"})


class _Kubeconfig:
    """The files of a kubeconfig, as one."""

    def __init__(self, given: str | None) -> None:
        listed = given or os.environ.get("KUBECONFIG") or _USUAL_FILE
        paths = [Path(each).expanduser() for each in listed.split(os.pathsep) if each]
        self._documents = [(path.parent, _read(path)) for path in paths if path.is_file()]
        if not self._documents:
            raise Unreachable(f"there is no kubeconfig at {listed}: set --kubeconfig or KUBECONFIG")

    def entries(self, section: str) -> Iterator[dict[str, Any]]:
        """Yield the entries of a section, the first of each name, with the folder of its file."""
        seen = set()
        for folder, document in self._documents:
            for each in document.get(section) or ():
                if each["name"] not in seen:
                    seen.add(each["name"])
                    yield {**each, "folder": folder}

    def access(self, name: str | None, *, seconds: float) -> ApiServerAccess:
        """Return how the API server of a context is reached."""
        current = next((each["current-context"] for _, each in self._documents if each.get("current-context")), None)
        context = self._named("contexts", "context", name or current)
        cluster = self._named("clusters", "cluster", context["cluster"])
        user = self._named("users", "user", context["user"]) if context.get("user") else {}
        server = str(cluster["server"])
        given = _from_program(user["exec"], seconds=seconds) if "exec" in user else {}
        return ApiServerAccess(
            server=server,
            namespace=str(context.get("namespace") or _DEFAULT),
            tls=_tls(cluster, {**user, **given}) if server.startswith("https:") else None,
            headers=_headers({**user, **given}),
            proxy=cluster.get("proxy-url"),
        )

    def _named(self, section: str, member: str, name: str | None) -> dict[str, Any]:
        for each in self.entries(section):
            if each["name"] == name:
                return _absolute(each.get(member) or {}, each["folder"])
        raise Unreachable(f"the kubeconfig has no {member} {name!r}")


def _read(path: Path) -> Mapping[str, Any]:
    with path.open("rb") as file:
        document = yaml.load(file.read(_MOST_BYTES), Loader=_LOADER)  # noqa: S506  a safe loader, in C where there is one
    if not isinstance(document, Mapping):
        raise Unreachable(f"{path} is no kubeconfig")
    return document


_PATHS: Final = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


def _absolute(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {key: str(folder / value) if key in _PATHS and value else value for key, value in entry.items()}


def _headers(user: Mapping[str, Any]) -> dict[str, str]:
    if user.get("tokenFile"):
        return {"Authorization": f"Bearer {Path(user['tokenFile']).read_text().strip()}"}
    if user.get("token"):
        return {"Authorization": f"Bearer {user['token']}"}
    if user.get("username"):
        pair = f"{user['username']}:{user.get('password', '')}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
    return {}


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
    authority = cluster.get("certificate-authority-data")
    context = ssl.create_default_context(
        cafile=None if authority else cluster.get("certificate-authority"),
        cadata=base64.b64decode(authority).decode("ascii") if authority else None,
    )
    # As kubectl: the certificate authorities of many clusters lack extensions that newer Pythons demand.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate = _pem(user, "client-certificate")
    if certificate is not None:
        _load(context, certificate, _pem(user, "client-key") or b"")
    return context


def _pem(user: Mapping[str, Any], name: str) -> bytes | None:
    if user.get(f"{name}-data"):
        return base64.b64decode(user[f"{name}-data"])
    return Path(user[name]).read_bytes() if user.get(name) else None


def _load(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a client certificate, by way of a file: the library reads nothing else."""
    with tempfile.NamedTemporaryFile(prefix="ostiary-") as file:  # only its owner may read it
        file.write(certificate + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name)


def _from_program(exec_: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
    """Return what a credential plugin gives (client-go's ExecCredential), named as in a user."""
    if exec_.get("interactiveMode") == "Always":
        raise Unreachable("the credentials come from a program that needs a person")
    version = {"apiVersion": exec_["apiVersion"], "kind": "ExecCredential", "spec": {"interactive": False}}
    extra = {str(each["name"]): str(each["value"]) for each in exec_.get("env") or ()}
    done = subprocess.run(  # noqa: S603  the user's own program, as kubectl starts it
        [str(exec_["command"]), *map(str, exec_.get("args") or ())],
        env={**os.environ, **extra, "KUBERNETES_EXEC_INFO": json.dumps(version)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=seconds,
    )
    status = json.loads(done.stdout)["status"]
    pairs = {"token": "token", "clientCertificateData": "client-certificate", "clientKeyData": "client-key"}
    found = {name: status[key] for key, name in pairs.items() if status.get(key)}
    encoded = {
        f"{name}-data": base64.b64encode(found.pop(name).encode()).decode("ascii")
        for name in ("client-certificate", "client-key")
        if name in found
    }
    return {**found, **encoded}
