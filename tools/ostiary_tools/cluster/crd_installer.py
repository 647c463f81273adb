"""Applies CustomResourceDefinitions and waits until their objects can be used.

"Established" is not enough: for about a second after it, a list returns 429 (storage is initialising), and discovery,
which kubectl uses, lacks the new kind.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ostiary_tools.cluster.api import ApiError, KubeApi
from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.processes import wait_until

_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def apply(path: Path, *, kubectl: Callable[..., str], api: KubeApi) -> list[str]:
    """Apply the CRDs of `path` (a file or a folder); return their names once all are usable.

    Raises:
        ToolError: there is no CRD, or one did not become usable in 30 s.
    """
    definitions = read(path)
    if not definitions:
        raise ToolError(f"{path} holds no CustomResourceDefinition")
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(path))
    for definition in definitions:
        name = definition["metadata"]["name"]
        wait_until(functools.partial(usable, name, api), what=f"{name} to be usable")
    return [definition["metadata"]["name"] for definition in definitions]


def read(path: Path) -> list[dict[str, Any]]:
    """Return the CRDs of a YAML file, or of those in a folder, sorted by file name."""
    files = sorted(file for file in path.iterdir() if file.suffix in {".yaml", ".yml"}) if path.is_dir() else [path]
    documents = [document for file in files for document in yaml.safe_load_all(file.read_text())]
    return [document for document in documents if document and document.get("kind") == "CustomResourceDefinition"]


def usable(name: str, api: KubeApi) -> bool:
    """Return whether each served version of a CRD is established, discovered and listable."""
    definition = api.request("GET", f"{_DEFINITIONS}/{name}")
    spec, plural = definition["spec"], definition["spec"]["names"]["plural"]
    conditions = definition.get("status", {}).get("conditions") or ()  # null at first
    if not any(c["type"] == "Established" and c["status"] == "True" for c in conditions):
        return False
    groups = [f"/apis/{spec['group']}/{version['name']}" for version in spec["versions"] if version["served"]]
    return all(_discovered(group, plural, api) and api.answers(f"{group}/{plural}") for group in groups)


def _discovered(group: str, plural: str, api: KubeApi) -> bool:
    try:
        resources = api.request("GET", group)["resources"]
    except ApiError:
        return False
    return any(resource["name"] == plural for resource in resources)
