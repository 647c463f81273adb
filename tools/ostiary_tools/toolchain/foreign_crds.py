"""CRDs of other projects that our chart and examples use, from their Go modules.

foreign_crds.ensure()   a folder with their YAML files
"""

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ostiary_tools.common.errors import ToolError
from ostiary_tools.toolchain import build_cache, golang


@dataclass(frozen=True, slots=True)
class Module:
    """Files of a release of a Go module.

    Attributes:
        path: the path of the module.
        version: the version of the release.
        checksum: the checksum of its contents, as `go mod download -json` prints it.
        files: paths within the module.
    """

    path: str
    version: str
    checksum: str
    files: tuple[str, ...]


MODULES = (
    Module(
        "sigs.k8s.io/gateway-api",
        "v1.4.0",
        "h1:ZwlNM6zOHq0h3WUX2gfByPs2yAEsy/EenYJB78jpQfQ=",
        ("config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",),
    ),
    Module(
        "github.com/prometheus-operator/prometheus-operator",
        "v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        (
            "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
            "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
        ),
    ),
    Module(
        "github.com/fluxcd/helm-controller",
        "v1.4.0",
        "h1:rkm8rmB6Na7eNc4pJOnvtXEaJ19iKluRtayHKjBxcUM=",
        ("config/crd/bases/helm.toolkit.fluxcd.io_helmreleases.yaml",),
    ),
    Module(
        "github.com/fluxcd/source-controller",
        "v1.7.0",
        "h1:/fBgS4CSmT5Jj/fjQDF92y+pC3gst1GJjgNSzY8Ff9I=",
        ("config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml",),
    ),
)


def ensure() -> Path:
    """Return the folder, fetching the releases on first use.

    Raises:
        ToolError: a release cannot be downloaded, or has another checksum.
    """
    key = hashlib.sha256(repr(MODULES).encode()).hexdigest()[:16]
    return build_cache.once(
        build_cache.root() / "foreign-crds" / key, what="fetching definitions of others", make=_fetch
    )


def _fetch(target: Path) -> None:
    go = golang.ensure()
    with tempfile.TemporaryDirectory() as scratch:  # outside of any module, whose go.mod would have an effect
        for module in MODULES:
            _copy(go, module, scratch=Path(scratch), target=target)


def _copy(go: Path, module: Module, *, scratch: Path, target: Path) -> None:
    name = f"{module.path}@{module.version}"
    found = json.loads(golang.run(go, "mod", "download", "-json", name, cwd=scratch))
    if found["Sum"] != module.checksum:
        raise ToolError(f"{name} has changed: its checksum is {found['Sum']}, not {module.checksum}")
    for file in module.files:
        shutil.copyfile(Path(found["Dir"]) / file, target / Path(file).name)
