"""The health of an object as other tools see it.

Kstatus (Flux, Helm 4), and the Lua scripts of Argo CD.

verdicts.kstatus(obj)            Verdict(status="Current", message="Resource is current")
verdicts.lua(obj, Path("…"))     Verdict(status="Healthy", message="…")
"""

import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostiary_tools.common.errors import CommandError
from ostiary_tools.toolchain import build_cache, golang

_MODULE = Path(__file__).parents[2] / "verdicts"
_SOURCES = ("go.mod", "go.sum", "main.go")


@dataclass(frozen=True, slots=True)
class HealthStatus:
    """The status of an object in the tool's own words, and a message."""

    status: str
    message: str


def kstatus(obj: Mapping[str, Any]) -> HealthStatus:
    """Return the status by Flux and `helm --wait`: Current, InProgress, Failed or Terminating."""
    return _judge(obj, "kstatus")


def lua(obj: Mapping[str, Any], script: Path) -> HealthStatus:
    """Return the status by Argo CD with this health script.

    Healthy, Progressing, Degraded or Suspended.
    """
    return _judge(obj, "lua", str(script))


def _judge(obj: Mapping[str, Any], *arguments: str) -> HealthStatus:
    command = [str(ensure()), *arguments]
    done = subprocess.run(command, input=json.dumps(obj), check=False, capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise CommandError(" ".join(command), done.returncode, done.stderr)
    return HealthStatus(**json.loads(done.stdout))


def ensure() -> Path:
    """Return the program, built on first use.

    Raises:
        ToolError: Go or its module proxy is missing.
    """
    key = hashlib.sha256(b"\0".join((_MODULE / name).read_bytes() for name in _SOURCES)).hexdigest()[:16]
    return (
        build_cache.once(build_cache.root() / "verdicts" / key, what="building the health checks", make=_build)
        / "verdicts"
    )


def _build(target: Path) -> None:
    golang.run(golang.ensure(), "build", "-mod=readonly", "-trimpath", "-o", str(target / "verdicts"), ".", cwd=_MODULE)
