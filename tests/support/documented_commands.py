"""Commands as the documentation shows them, and a place where they can be run.

for command in commands("docs/tutorials/4-gateways.md"):
    folder.run(command)
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from timeouts import TIMEOUT_SECONDS

from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.toolchain import binaries

ROOT = Path(__file__).parents[2]
#: Takes the place of the reader's own chart, `my-proxies`, which pages name.
_CHART = {
    "Chart.yaml": "apiVersion: v2\nname: my-proxies\nversion: 0.1.0\n",
    "templates/proxy.yaml": """\
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: mine}
spec: {servers: [{name: mock, url: "http://mock.tools.svc:7878/mcp"}]}
""",
}
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: In a block without a language these make a line a command.
_PROGRAMS = {
    "claude",
    "docker",
    "git",
    "helm",
    "k3d",
    "kind",
    "kubectl",
    "make",
    "minikube",
    "npx",
    "ostiary",
    "pip",
    "python3",
}
_COMMENT = re.compile(r"\s+# .*$")


def pages() -> list[str]:
    """Every page that may show commands, as a path from the root."""
    found = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("helm/*/README.md"),
        *ROOT.glob("examples/**/*.md"),
    ]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def commands(page: str) -> list[str]:
    """The commands of a page in their order, each on one line, without comments."""
    return [
        line
        for language, block in _FENCE.findall((ROOT / page).read_text())
        if language in {"", "sh", "console"}
        for line in _lines(block)
        if language or _is_command(line)
    ]


def _lines(block: str) -> list[str]:
    whole = block.replace("\\\n", " ").splitlines()
    lines = (_COMMENT.sub("", line).removeprefix("$ ") for line in whole)
    return [re.sub(r" {2,}", " ", line) for line in lines if line.strip() and not line.startswith("#")]


def _is_command(line: str) -> bool:
    words = line.split()
    program = next((word for word in words if not re.match(r"[A-Z_]+=", word)), "")
    return program.rpartition("/")[2] in _PROGRAMS | {"phoenix"} and line == line.lstrip()


@dataclass
class Folder:
    """A folder that looks like the repository to a command, and a cluster for kubectl, helm and ostiary.

    What a command exports, later commands see. Without ``has_ostiary``, `ostiary` is not in the PATH at first.
    """

    path: Path
    control_plane: ControlPlane
    has_ostiary: bool = True
    exports: list[str] = field(default_factory=list)

    def prepare(self) -> None:
        """Create the files that the commands expect."""
        for name in ("helm", "examples", "docs", "crds", "kind-config.yaml"):
            (self.path / name).symlink_to(ROOT / name)
        (self.path / "proxies").symlink_to(ROOT / "examples" / "quickstart")
        for name, text in _CHART.items():
            file = self.path / "my-proxies" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        programs = self.path / "bin"
        programs.mkdir()
        for name in ("kubectl", "helm"):
            (programs / name).symlink_to(binaries.ensure(name)[name])
        (self.path / ".venv").mkdir()
        (self.path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)

    def run(self, command: str) -> str:
        """Run a command in bash; return what it writes to stdout."""
        if command.startswith("export "):
            self.exports.append(command)
            return ""
        done = subprocess.run(
            ["/bin/bash", "-eo", "pipefail", "-c", "\n".join([*self.exports, command])],
            cwd=self.path,
            env={**os.environ, **self.control_plane.environment(), "PATH": self._search()},
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _search(self) -> str:
        ours = Path(sys.executable).parent
        others = [each for each in os.environ["PATH"].split(os.pathsep) if not (Path(each) / "ostiary").exists()]
        return os.pathsep.join(map(str, [self.path / "bin", *([ours] if self.has_ostiary else []), *others]))
