from pathlib import Path

from operator_world import GATEWAY, config, entry

from ostiary_core.contract.bundle import open_files
from ostiary_operator.delivery import secret
from ostiary_operator.delivery.directory import ConfigDirectory


def files(path: Path) -> dict[str, bytes]:
    return {
        each.name: each.read_bytes() for each in path.iterdir() if each.is_file() and not each.name.startswith("..")
    }


def opened(path: Path) -> set[str]:
    found = files(path)
    bundle = open_files(found, secret.parse(found).mac_keys(), gateway=GATEWAY)
    return {each.proxy for each in bundle.manifest.entries}


def test_a_directory_reads_like_a_projected_volume(tmp_path: Path) -> None:
    ConfigDirectory(tmp_path / "config", gateway=GATEWAY).write(config(entry("crm")))
    link = tmp_path / "config" / "..data"
    assert link.is_symlink()
    assert (tmp_path / "config" / "manifest.json").readlink() == Path("..data/manifest.json")
    assert opened(tmp_path / "config") == {"tools/crm"}


def test_a_change_renames_the_link_and_the_old_version_goes(tmp_path: Path) -> None:
    directory = ConfigDirectory(tmp_path, gateway=GATEWAY)
    directory.write(config(entry("crm")))
    before = (tmp_path / "..data").readlink()
    directory.write(config(entry("wiki")))
    assert (tmp_path / "..data").readlink() != before
    assert not (tmp_path / before).exists()
    assert opened(tmp_path) == {"tools/wiki"}


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    directory = ConfigDirectory(tmp_path, gateway=GATEWAY)
    first = directory.write(config(entry("crm")))
    before = (tmp_path / "..data").readlink()
    assert directory.write(config(entry("crm"))) == first
    assert (tmp_path / "..data").readlink() == before


def test_keys_and_revision_outlast_the_process(tmp_path: Path) -> None:
    first = ConfigDirectory(tmp_path, gateway=GATEWAY)
    manifest = first.write(config(entry("crm")))
    token = first.admin_token()
    second = ConfigDirectory(tmp_path, gateway=GATEWAY, clock=lambda: 0.0)
    assert second.previous().config == config(entry("crm"))
    assert second.write(config(entry("wiki"))).revision == manifest.revision + 1
    assert second.admin_token() == token


def test_files_that_are_not_needed_any_more_disappear_from_sight(tmp_path: Path) -> None:
    directory = ConfigDirectory(tmp_path, gateway=GATEWAY)
    directory.write(config(*(entry(f"p{n}", padding="a" * 600) for n in range(300))))
    assert (tmp_path / "documents-0.jsonl.gz").exists()
    directory.write(config(entry("crm")))
    assert not (tmp_path / "documents-0.jsonl.gz").is_symlink()
    assert opened(tmp_path) == {"tools/crm"}


def test_nobody_else_can_read_the_keys(tmp_path: Path) -> None:
    ConfigDirectory(tmp_path / "config", gateway=GATEWAY).write(config(entry("crm")))
    for each in (tmp_path / "config" / "..data").resolve().iterdir():
        assert each.stat().st_mode & 0o077 == 0
    assert (tmp_path / "config" / "..data").resolve().stat().st_mode & 0o077 == 0


def test_a_forged_config_is_not_read_back(tmp_path: Path) -> None:
    directory = ConfigDirectory(tmp_path, gateway=GATEWAY)
    directory.write(config(entry("crm")))
    manifest = (tmp_path / "manifest.json").resolve()
    manifest.write_bytes(manifest.read_bytes().replace(b"tools/crm", b"tools/cr0"))
    assert directory.previous().config is None
    assert "MAC" in (directory.previous().problem or "")
    directory.write(config(entry("crm")))
    assert opened(tmp_path) == {"tools/crm"}


def test_an_empty_directory_holds_nothing(tmp_path: Path) -> None:
    directory = ConfigDirectory(tmp_path / "new", gateway=GATEWAY)
    assert directory.previous().config is None
    assert directory.previous().problem is None
    assert directory.admin_token() is None
