"""How the control plane is built: the exact command, and the key under which its result is kept.

Pure: text in, text out. `binaries` runs it.
"""

import dataclasses
import hashlib
import platform
import re

# The name of each program we offer, and of the file that `go build` writes for it (a package's last element).
OUTPUTS = {
    "etcd": "server",
    "kube-apiserver": "kube-apiserver",
    "kube-controller-manager": "kube-controller-manager",
    "kubectl": "kubectl",
    "helm": "helm",
}
# Kubernetes keeps one version for its servers and another for its clients.
_VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """A build of the control plane.

    Attributes:
        arguments: what follows `go`, up to `-o DIRECTORY tool`.
        key: changes whenever the result should.
    """

    arguments: tuple[str, ...]
    key: str


def recipe(*, go_mod: str, go_sum: str) -> Recipe:
    """The recipe for the module with this go.mod and go.sum on this machine.

    Raises:
        ValueError: go.mod does not pin Kubernetes or Helm.
    """
    flags = ("-mod=readonly", "-trimpath", "-buildvcs=false", "-v")
    ldflags = linker_flags(kubernetes=pinned(go_mod, "k8s.io/kubernetes"), helm=pinned(go_mod, "helm.sh/helm/v4"))
    arguments = ("build", *flags, f"-ldflags={ldflags}")
    machine = f"{platform.system()} {platform.machine()}"
    inputs = "\0".join((machine, go_mod, go_sum, *arguments, repr(OUTPUTS)))
    return Recipe(arguments, hashlib.sha256(inputs.encode()).hexdigest()[:16])


def pinned(go_mod: str, module: str) -> str:
    """The version, as `v1.36.2`, at which go.mod requires `module`.

    Raises:
        ValueError: it does not.
    """
    match = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if match is None:
        raise ValueError(f"go.mod does not require {module}")
    return match[1]


def linker_flags(*, kubernetes: str, helm: str) -> str:
    """Flags that stamp the versions; without them `/version` says v0.0.0 and Helm's `kubeVersion` check fails."""
    major, minor, _ = kubernetes.removeprefix("v").split(".", 2)
    values = {"gitVersion": kubernetes, "gitMajor": major, "gitMinor": minor, "gitTreeState": "archive"}
    stamps = [f"-X {package}.{name}={value}" for package in _VERSION_PACKAGES for name, value in values.items()]
    return " ".join(["-s", "-w", *stamps, f"-X helm.sh/helm/v4/internal/version.version={helm}"])
