"""The build of the control plane: the command, and the cache key of its result.

Pure: text in, text out. `binaries` runs it.
"""

import dataclasses
import hashlib
import platform
import re

# The name of each program, and of the file that `go build` writes for it (the last element of the package).
OUTPUTS = {
    "etcd": "server",
    "kube-apiserver": "kube-apiserver",
    "kube-controller-manager": "kube-controller-manager",
    "kubectl": "kubectl",
    "helm": "helm",
}
# Kubernetes has one version variable for servers and another for clients.
_VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """A build of the control plane.

    Attributes:
        arguments: the arguments of `go`, before `-o DIRECTORY tool`.
        key: a hash of everything that affects the result.
    """

    arguments: tuple[str, ...]
    key: str


def recipe(*, go_mod: str, go_sum: str) -> Recipe:
    """Return the recipe for the module with this go.mod and go.sum on this machine.

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
    """Return the version at which go.mod requires `module`, such as `v1.36.2`.

    Raises:
        ValueError: go.mod does not require it.
    """
    match = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if match is None:
        raise ValueError(f"go.mod does not require {module}")
    return match[1]


def linker_flags(*, kubernetes: str, helm: str) -> str:
    """Return flags that set the versions.

    Without them `/version` is v0.0.0, and Helm's `kubeVersion` check fails.
    """
    major, minor, _ = kubernetes.removeprefix("v").split(".", 2)
    values = {"gitVersion": kubernetes, "gitMajor": major, "gitMinor": minor, "gitTreeState": "archive"}
    stamps = [f"-X {package}.{name}={value}" for package in _VERSION_PACKAGES for name, value in values.items()]
    return " ".join(["-s", "-w", *stamps, f"-X helm.sh/helm/v4/internal/version.version={helm}"])
