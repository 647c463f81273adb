"""A real Kubernetes control plane on 127.0.0.1, without containers.

For the tests and for `make cluster`.

    with ControlPlane(directory) as control_plane:
        control_plane.apply_crds(Path("crds"))
        control_plane.kubectl("get", "mcpproxies")

There are no nodes: Pods stay Pending. Its data is removed at the end.
"""

import base64
import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from ostiary_tools.cluster import certificates, components, crd_installer
from ostiary_tools.cluster.api import KubeApi
from ostiary_tools.common import private
from ostiary_tools.common.errors import CommandError
from ostiary_tools.common.ports import LOOPBACK, reserve_port
from ostiary_tools.common.processes import Process, wait_until
from ostiary_tools.toolchain import binaries

_SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
_SERVER_ADDRESSES = (LOOPBACK, "10.0.0.1")
_START_TIMEOUT = 60.0  # seconds; it takes three on two idle cores
_TOKEN_LIFETIME = 24 * 3600  # seconds


class ControlPlane:
    """etcd, kube-apiserver and kube-controller-manager as child processes.

    Attributes:
        directory: has its keys, state and logs; mode 0700.
        url: of the API server.
        ca_file: the certificate of its authority.
        admin_token: the bearer token of a member of system:masters.
        kubeconfig: a file with all three.
        api: a client that uses them.
    """

    def __init__(self, directory: Path, *, port: int | None = None) -> None:
        """Prepare keys and addresses; nothing runs yet.

        Args:
            directory: created if missing; files of an earlier control plane are removed.
            port: of the API server; a free one by default.
        """
        self.directory = directory.absolute()
        self._port = port or reserve_port()
        self.url = f"https://{LOOPBACK}:{self._port}"
        self.ca_file = self.directory / "certs" / "ca.crt"
        self.admin_token = secrets.token_hex(16)
        self.kubeconfig = self.directory / "kubeconfig"
        self._processes: dict[str, Process] = {}
        self._write_files()
        self.api = KubeApi(url=self.url, ca_file=self.ca_file, token=self.admin_token)

    def _write_files(self) -> None:
        for name in ("etcd", "certs", "logs", "kubeconfigs"):
            shutil.rmtree(self.directory / name, ignore_errors=True)
        for name in ("certs", "logs", "kubeconfigs"):
            (self.directory / name).mkdir(parents=True)
        self.directory.chmod(0o700)
        certs = self.directory / "certs"
        certificates.write_authority_and_server(certs, names=_SERVER_NAMES, addresses=_SERVER_ADDRESSES)
        certificates.write_service_account_keys(certs)
        private.write(certs / "tokens.csv", f'{self.admin_token},admin,admin,"system:masters"\n')
        self._write_kubeconfig(self.kubeconfig, token=self.admin_token, user="admin", namespace="default")

    def _write_kubeconfig(self, path: Path, *, token: str, user: str, namespace: str) -> None:
        authority = self.ca_file.read_bytes()
        text = render_kubeconfig(url=self.url, authority=authority, token=token, user=user, namespace=namespace)
        private.write(path, text)

    def start(self) -> None:
        """Start it, and wait until it serves and its controllers have created the first objects.

        Raises:
            ToolError: a program cannot be built or did not start; the message has the end of its log.
        """
        programs = binaries.ensure()
        try:
            self._spawn("etcd", components.etcd(programs["etcd"]))
            self.start_api_server()
            self._spawn("controllers", components.controller_manager(programs["kube-controller-manager"]))
            self._wait("the first service account", "/api/v1/namespaces/default/serviceaccounts/default")
            self._wait("the published authority", "/api/v1/namespaces/default/configmaps/kube-root-ca.crt")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill all processes: a graceful shutdown would take seconds to save state that is removed."""
        for process in reversed(self._processes.values()):
            process.kill()
        self._processes.clear()
        shutil.rmtree(self.directory / "etcd", ignore_errors=True)  # it reserves 128 MB

    @property
    def processes(self) -> Mapping[str, Process]:
        """The started processes that were not stopped, by name."""
        return dict(self._processes)

    def start_api_server(self) -> None:
        """Start the API server and wait until it serves.

        After `kill_api_server` its objects are still in etcd.
        """
        self._spawn("api-server", components.api_server(binaries.ensure()["kube-apiserver"], port=self._port))
        self._wait("the API server", "/readyz")

    def kill_api_server(self) -> None:
        """Kill the API server, for tests of its clients."""
        self._processes.pop("api-server").kill()

    def _spawn(self, name: str, command: list[str | Path]) -> None:
        log = self.directory / "logs" / f"{name}.log"
        self._processes[name] = Process(name, command, log=log, cwd=self.directory)

    def _wait(self, what: str, path: str) -> None:
        processes = self._processes.values()
        wait_until(lambda: self.api.answers(path), what=what, timeout=_START_TIMEOUT, processes=processes)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        """Return the environment for kubectl and helm.

        This cluster, without the user's own configuration.
        """
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "HELM_"))}
        cache = str(self.directory / "client-cache")
        helm = {f"HELM_{kind}_HOME": f"{cache}/helm-{kind.lower()}" for kind in ("CACHE", "CONFIG", "DATA")}
        return clean | helm | {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": cache, "KUBERC": "off"}

    def kubectl(self, *arguments: str, input: str | None = None, timeout: float = 60.0) -> str:  # noqa: A002  subprocess's word
        """Run kubectl as the administrator and return its stdout.

        Args:
            arguments: what follows `kubectl`.
            input: its stdin, for `-f -`.
            timeout: seconds.

        Raises:
            CommandError: it failed; `stderr` says why.
        """
        return self._run("kubectl", arguments, stdin=input, timeout=timeout)

    def helm(self, *arguments: str, input: str | None = None, timeout: float = 120.0) -> str:  # noqa: A002  subprocess's word
        """Run helm as the administrator and return its stdout; else as `kubectl`."""
        return self._run("helm", arguments, stdin=input, timeout=timeout)

    def _run(self, name: str, arguments: tuple[str, ...], *, stdin: str | None, timeout: float) -> str:
        command = [str(binaries.ensure(name)[name]), *arguments]
        done = subprocess.run(
            command,
            input=stdin or "",  # not our own stdin: `-f -` without input must fail, not hang
            env=self.environment(),
            timeout=timeout,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise CommandError(" ".join([name, *arguments]), done.returncode, done.stderr)
        return done.stdout

    def service_account_token(self, namespace: str, name: str) -> str:
        """Return a token of this service account, valid for a day (TokenRequest).

        Raises:
            ApiError: there is no such service account.
        """
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        answer = self.api.request("POST", path, {"spec": {"expirationSeconds": _TOKEN_LIFETIME}})
        token: str = answer["status"]["token"]
        return token

    def kubeconfig_for_service_account(self, namespace: str, name: str) -> Path:
        """Return a kubeconfig file with the rights of this service account.

        Raises:
            ApiError: there is no such service account.
        """
        token = self.service_account_token(namespace, name)
        path = self.directory / "kubeconfigs" / f"{namespace}.{name}"
        self._write_kubeconfig(path, token=token, user=f"{namespace}.{name}", namespace=namespace)
        return path

    def apply_crds(self, path: Path) -> list[str]:
        """Apply the CRDs in a file or folder, and wait until their objects can be used.

        Returns:
            Their names.

        Raises:
            CommandError: the API server refused one.
            ToolError: there is none in `path`, or one did not become usable.
        """
        return crd_installer.apply(path, kubectl=self.kubectl, api=self.api)


def render_kubeconfig(*, url: str, authority: bytes, token: str, user: str, namespace: str = "default") -> str:
    """Return the text of a kubeconfig. It contains the token: write it with `private.write`.

    Args:
        url: of the API server.
        authority: the PEM of its certificate authority.
        token: a bearer token.
        user: the name of the token's user in the file.
        namespace: the default namespace of commands.
    """
    cluster = {"server": url, "certificate-authority-data": base64.b64encode(authority).decode()}
    context = {"cluster": "ostiary-local", "user": user, "namespace": namespace}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "ostiary-local", "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "ostiary-local", "context": context}],
        "current-context": "ostiary-local",
    }
    return yaml.safe_dump(config, sort_keys=False)
