"""Servers for tests are found on PATH, or installed by apt-get without starting a service."""

import os
from pathlib import Path

import pytest

from ostiary_tools.common.errors import ToolError
from ostiary_tools.toolchain import debian

# Records its arguments and, at `install`, puts the program of the test onto PATH, unless services could start.
APT_GET = """#!/bin/sh
echo "$@" >> {directory}/calls
test "$1" = install || exit 0
{directory}/policy; test $? = 101 || exit 1
printf '#!/bin/sh\\n' > {directory}/redis-server && chmod +x {directory}/redis-server
"""


def program(path: Path, content: str = "#!/bin/sh\n") -> Path:
    path.write_text(content)
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of root's whose only programs lie in this directory, with an apt-get and a shell."""
    program(tmp_path / "apt-get", APT_GET.format(directory=tmp_path))
    for tool in ("sh", "chmod"):
        (tmp_path / tool).symlink_to(debian.find(tool) or "")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(debian, "SERVICE_POLICY", tmp_path / "policy")
    monkeypatch.setattr(debian, "PACKAGES", {"redis-server": "redis-server"})
    monkeypatch.setattr(debian, "SERVER_DIRECTORIES", ())
    return tmp_path


def test_a_program_on_the_path_is_used_without_apt_get(machine: Path) -> None:
    expected = program(machine / "redis-server")
    assert debian.ensure("redis-server") == {"redis-server": expected}
    assert not (machine / "calls").exists()


def test_a_missing_program_is_installed_while_services_are_forbidden(machine: Path) -> None:
    assert debian.ensure("redis-server") == {"redis-server": machine / "redis-server"}
    update, install = (machine / "calls").read_text().splitlines()
    assert update.startswith("update")
    assert install.startswith("install -y")
    assert install.endswith(" redis-server")
    assert not (machine / "policy").exists(), "the machine is left as it was"


def test_the_policy_of_the_machines_owner_stays(machine: Path) -> None:
    policy = program(machine / "policy", "#!/bin/sh\nexit 101 # mine\n")
    debian.ensure("redis-server")
    assert policy.read_text().endswith("# mine\n")


def test_without_root_the_packages_and_the_command_are_named(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ToolError, match="`sudo apt-get install redis-server`"):
        debian.ensure("redis-server")
    assert not (machine / "calls").exists()


def test_a_failure_of_apt_get_is_shown_with_its_words(machine: Path) -> None:
    program(machine / "apt-get", "#!/bin/sh\necho 'Unable to locate package' >&2\nexit 100\n")
    with pytest.raises(ToolError, match="Unable to locate package"):
        debian.ensure("redis-server")


def test_an_unknown_program_is_named() -> None:
    with pytest.raises(ToolError, match="unknown program sqlite; there are: redis-server"):
        debian.ensure("sqlite")
