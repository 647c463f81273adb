"""The chart, rendered by helm as for a user.

objects = render("-f", values("kind"), "--set", "gateways[0].name=edge")
one(objects, "Deployment", "ostiary-gateway")
"""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from timeouts import TIMEOUT_SECONDS

from ostiary_tools.common.errors import CommandError
from ostiary_tools.toolchain import binaries

CHART = Path(__file__).parents[2] / "helm" / "ostiary"
DEMO = CHART.parent / "ostiary-demo"
NAMESPACE = "ostiary-system"

Object = dict[str, Any]


def cases(chart: Path) -> list[str]:
    """The values files of a chart's `ci/`, without their common end."""
    return sorted(path.name.removesuffix("-values.yaml") for path in (chart / "ci").iterdir())


def values(case: str, *, chart: Path = CHART) -> str:
    """The path of a values file of `ci/`."""
    return str(chart / "ci" / f"{case}-values.yaml")


def render(*arguments: str, release: str = "ostiary", namespace: str = NAMESPACE, chart: Path = CHART) -> list[Object]:
    """The objects that `helm template` makes of a chart.

    Raises:
        CommandError: helm refuses.
    """
    text = helm("template", release, str(chart), "--namespace", namespace, *arguments)
    return [document for document in yaml.safe_load_all(text) if document]


def helm(*arguments: str) -> str:
    """Run helm without any cluster; return its stdout."""
    command = [str(binaries.ensure("helm")["helm"]), *arguments]
    environment = {**os.environ, "KUBECONFIG": os.devnull}
    done = subprocess.run(
        command, env=environment, check=False, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
    )
    if done.returncode:
        raise CommandError("helm " + " ".join(arguments), done.returncode, done.stderr)
    return done.stdout


CASES = cases(CHART)


def of_kind(objects: Iterable[Object], kind: str) -> list[Object]:
    """All objects of a kind."""
    return [obj for obj in objects if obj["kind"] == kind]


def one(objects: Iterable[Object], kind: str, name: str, *, namespace: str | None = None) -> Object:
    """The only object of this kind and name."""
    (found,) = (
        obj
        for obj in of_kind(objects, kind)
        if obj["metadata"]["name"] == name and namespace in (None, obj["metadata"].get("namespace"))
    )
    return found


def container(deployment: Object) -> Object:
    """The only container of a Deployment's Pods."""
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(found)
