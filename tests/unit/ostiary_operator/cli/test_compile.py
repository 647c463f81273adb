"""`ostiary compile`: which folders it takes, and that what uses it in `deploy/` fits together."""

import re
import shlex
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import Ostiary

from ostiary_operator.cli import entry

ROOT = Path(__file__).parents[4]
OBJECTS = ROOT / "deploy" / "compose" / "proxies"


def test_a_folder_that_is_missing_is_made_for_its_owner_alone(ostiary: Ostiary, tmp_path: Path) -> None:
    out = tmp_path / "a" / "out"
    answer = ostiary("compile", str(OBJECTS), "--out", str(out))
    assert answer.code == 0, answer.err
    assert f"{out}: revision" in answer.out
    for each in (out, *(path for path in out.rglob("*") if not path.is_symlink())):
        assert stat.S_IMODE(each.stat().st_mode) == (0o700 if each.is_dir() else 0o600)


def test_the_same_files_again_change_nothing(ostiary: Ostiary, tmp_path: Path) -> None:
    ostiary("compile", str(OBJECTS), "--out", str(tmp_path / "out"))
    before = (tmp_path / "out" / "..data").readlink()
    assert "unchanged" in ostiary("compile", str(OBJECTS), "--out", str(tmp_path / "out")).out
    assert (tmp_path / "out" / "..data").readlink() == before


def test_an_interrupted_first_attempt_is_continued(ostiary: Ostiary, tmp_path: Path) -> None:
    (tmp_path / "out" / "keys").mkdir(parents=True)
    (tmp_path / "out" / "..2026_11_29_00_00_00.000000001").mkdir()
    assert ostiary("compile", str(OBJECTS), "--out", str(tmp_path / "out")).code == 0


def test_a_folder_of_something_else_is_not_written_into(ostiary: Ostiary, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    answer = ostiary("compile", str(OBJECTS), "--out", str(tmp_path))
    assert answer.code == 2
    assert answer.err == f"ostiary compile: {tmp_path} holds something else (notes.txt): name a new folder\n"
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["notes.txt", "..data"])
def test_foreign_links_are_not_followed_and_their_targets_are_not_removed(
    ostiary: Ostiary, tmp_path: Path, name: str
) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.txt").write_text("mine")
    out.mkdir(mode=0o700)
    (out / name).symlink_to(elsewhere)
    (out / "..dangling").symlink_to(tmp_path / "missing")
    code = ostiary("compile", str(OBJECTS), "--out", str(out)).code
    assert code == (2 if name == "notes.txt" else 0)
    assert (elsewhere / "precious.txt").read_text() == "mine"
    assert [each.name for each in elsewhere.iterdir()] == ["precious.txt"]


def test_no_key_is_taken_from_a_folder_that_others_may_write_or_behind_a_link(ostiary: Ostiary, tmp_path: Path) -> None:
    out, planted = tmp_path / "out", tmp_path / "planted"
    assert ostiary("compile", str(OBJECTS), "--out", str(planted)).code == 0
    out.mkdir(mode=0o700)
    (out / "keys").symlink_to(planted / "keys")
    answer = ostiary("compile", str(OBJECTS), "--out", str(out))
    assert (answer.code, answer.err) == (2, f"ostiary compile: {out / 'keys'} is no folder: name a new one\n")
    (planted / "keys").chmod(0o770)
    answer = ostiary("compile", str(OBJECTS), "--out", str(planted))
    assert (answer.code, "may be written by others" in answer.err) == (2, True)
    (planted / "keys").chmod(0o700)
    planted.chmod(0o777)
    answer = ostiary("compile", str(OBJECTS), "--out", str(planted))
    assert (answer.code, f"chmod go-w {planted}" in answer.err) == (2, True)


def test_a_folder_of_foreign_links_is_left_unchanged(ostiary: Ostiary, tmp_path: Path) -> None:
    out = tmp_path / "bin"
    out.mkdir(mode=0o700)
    (out / "tool").symlink_to("/nowhere/tool")
    answer = ostiary("compile", str(OBJECTS), "--out", str(out))
    assert answer.code == 2
    assert "holds something else (tool)" in answer.err
    assert [each.name for each in out.iterdir()] == ["tool"]


def test_unwritable_and_missing_files_are_reported(ostiary: Ostiary, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = ostiary("compile", str(OBJECTS), "--out", str(tmp_path / "file" / "out"))
    assert (answer.code, "cannot be written" in answer.err) == (2, True)
    answer = ostiary("compile", str(tmp_path / "missing"), "--out", str(tmp_path / "out"))
    assert (answer.code, "no such file or folder" in answer.err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_files_with_problems_make_nothing(ostiary: Ostiary, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("kind: MCPProxy\n")
    answer = ostiary("compile", str(tmp_path / "broken.yaml"), "--out", str(tmp_path / "out"))
    assert answer.code == 1
    assert "broken.yaml" in answer.out
    assert not (tmp_path / "out" / "..data").exists()


def test_a_proxy_that_no_policy_governs_is_reported_at_every_compilation(ostiary: Ostiary, tmp_path: Path) -> None:
    proxy = OBJECTS / "mcpproxy.yaml"
    for _ in range(2):
        answer = ostiary("compile", str(proxy), "--out", str(tmp_path / "out"))
        assert answer.code == 0
        assert (
            f"{proxy}:2:1: warning: MCPProxy default/mock-mcp-server: no policy governs it: every caller" in answer.out
        )
    assert "warning" not in ostiary("compile", str(OBJECTS), "--out", str(tmp_path / "out")).out


def commands() -> dict[str, list[list[str]]]:
    """What compose and systemd start, by file, without the program."""
    services = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text())["services"]
    found = {"compose": [service["command"] for service in services.values()]}
    for unit in sorted((ROOT / "deploy/systemd").glob("*.service")):
        (line,) = re.findall(r"^ExecStart=\S+/ostiary (.*)$", unit.read_text(), re.MULTILINE)
        found.setdefault("systemd", []).append(shlex.split(line))
    return found


def parsed(command: list[str]) -> Any:
    return entry._parser(entry._named(command)).parse_args(command)


@pytest.mark.parametrize("kind", commands())
def test_what_compose_and_systemd_start_is_valid_and_the_gateway_reads_what_is_written(kind: str) -> None:
    found = {command[0]: parsed(command) for command in commands()[kind]}
    assert found["compile"].out == found["gateway"].config
    assert found["compile"].watch
    assert found["gateway"].keys is None, "they lie in the folder of the config"


def test_the_objects_of_compose_are_valid_and_their_settings_apply(ostiary: Ostiary, tmp_path: Path) -> None:
    assert ostiary("validate", "--strict", str(OBJECTS)).code == 0
    ostiary("compile", str(OBJECTS), "--out", str(tmp_path / "out"))
    documents = (tmp_path / "out" / "documents-0.jsonl").read_text()
    assert '"perSource":{"bytesInFlight":33554432,"connections":500' in documents
    assert '"externalUrl":"http://localhost:8080"' in documents
