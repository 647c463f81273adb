import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from operator_objects import GATEWAY, config, entry

from ostiary_core.contract.bundle import open_files
from ostiary_core.contract.key_names import misplaced
from ostiary_operator.delivery import secret
from ostiary_operator.delivery.directory import ConfigDirectory


def files(path: Path) -> dict[str, bytes]:
    return {
        each.name: each.read_bytes() for each in path.iterdir() if each.is_file() and not each.name.startswith("..")
    }


def keys(path: Path) -> secret.Keys:
    return secret.parse(files(path / "keys"))


def opened(path: Path) -> set[str]:
    found = files(path)
    bundle = open_files(found, keys(path).mac_keys(), gateway=GATEWAY)
    return {each.proxy for each in bundle.manifest.entries}


def test_a_directory_reads_like_a_projected_volume(tmp_path: Path) -> None:
    ConfigDirectory(tmp_path / "config", gateway=GATEWAY).write(config(entry("crm")))
    link = tmp_path / "config" / "..data"
    assert link.is_symlink()
    assert (tmp_path / "config" / "manifest.json").readlink() == Path("..data/manifest.json")
    assert opened(tmp_path / "config") == {"tools/crm"}


def test_a_change_renames_the_link_and_removes_the_old_version(tmp_path: Path) -> None:
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
    second = ConfigDirectory(tmp_path, gateway=GATEWAY, clock=lambda: time.time() - 3600)
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


def test_no_other_user_can_read_the_keys(tmp_path: Path) -> None:
    ConfigDirectory(tmp_path / "config", gateway=GATEWAY).write(config(entry("crm")))
    for folder in (tmp_path / "config", tmp_path / "config" / "keys"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        version = (folder / "..data").resolve()
        assert stat.S_IMODE(version.stat().st_mode) == 0o700
        assert {stat.S_IMODE(each.stat().st_mode) for each in version.iterdir()} == {0o600}


def test_no_key_is_among_the_files_of_the_config(tmp_path: Path) -> None:
    directory = ConfigDirectory(tmp_path, gateway=GATEWAY)
    directory.write(config(entry("crm")))
    assert misplaced(files(tmp_path)) == ()
    assert directory.admin_token() == keys(tmp_path).admin_token


def test_what_has_the_name_of_a_key_in_the_config_is_no_key(tmp_path: Path) -> None:
    directory = ConfigDirectory(tmp_path, gateway=GATEWAY)
    directory.write(config(entry("crm")))
    (tmp_path / "..data" / "mac-1").write_bytes(b"m" * 32)
    (tmp_path / "..data" / "admin-token").write_bytes(b"forged")
    before = keys(tmp_path)
    directory.write(config(entry("wiki")))
    assert keys(tmp_path) == before
    assert misplaced(files(tmp_path)) == ()


def test_keys_may_be_in_another_folder(tmp_path: Path) -> None:
    apart = tmp_path / "keys-elsewhere"
    first = ConfigDirectory(tmp_path / "one", gateway=GATEWAY, keys=apart)
    first.write(config(entry("crm")))
    second = ConfigDirectory(tmp_path / "two", gateway=GATEWAY, keys=apart)
    second.write(config(entry("crm")))
    assert second.admin_token() == first.admin_token()
    assert not (tmp_path / "one" / "keys").exists()


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


def test_keys_get_their_successors_while_a_process_lasts(tmp_path: Path) -> None:
    now = [time.time()]
    directory = ConfigDirectory(tmp_path, gateway=GATEWAY, clock=lambda: now[0])
    directory.renew()
    assert keys(tmp_path) == secret.Keys(), "before the first config there is nothing to renew"
    directory.write(config(entry("crm")))
    before = keys(tmp_path)
    now[0] += secret.ROTATION + 1
    directory.renew()
    after = keys(tmp_path)
    assert set(before.session) < set(after.session)
    assert set(before.mac) < set(after.mac)
    assert opened(tmp_path) == {"tools/crm"}


def test_several_that_write_at_once_leave_one_set_of_keys_and_a_config_that_it_fits(tmp_path: Path) -> None:
    writers = [ConfigDirectory(tmp_path, gateway=GATEWAY) for _ in range(8)]
    with ThreadPoolExecutor(len(writers)) as pool:
        manifests = list(pool.map(lambda each: each[1].write(config(entry(f"e{each[0]}"))), enumerate(writers)))
    assert len({manifest.revision for manifest in manifests}) == len(writers)
    assert len(keys(tmp_path).mac) == 1
    found = ConfigDirectory(tmp_path, gateway=GATEWAY).previous()
    assert found.problem is None
    assert found.manifest == max(manifests, key=lambda manifest: manifest.revision)
