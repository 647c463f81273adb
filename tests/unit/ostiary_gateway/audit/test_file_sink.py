"""A file as an audit trail: whole lines, rotation, full disks, replaced files, one writer."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from audit_trails import WrittenTrail, verified

from ostiary_core.contract.audit import AuditFileConfig
from ostiary_gateway.audit.file_sink import FileSink
from ostiary_gateway.audit.sink import SinkError


def sink_at(path: Path, *, max_bytes: int = 1000, max_files: int = 3, syncs: bool = False) -> FileSink:
    return FileSink(
        AuditFileConfig(path=str(path), max_bytes=max_bytes, max_files=max_files, syncs=syncs), replica="gw-1/a"
    )


def test_lines_are_appended_and_only_the_owner_may_read_them(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"before\n")
    sink = sink_at(path, syncs=True)
    sink.write([b"one\n", b"two\n"])
    sink.write([])
    sink.close(0)
    assert path.read_bytes() == b"before\none\ntwo\n"
    new = tmp_path / "new.jsonl"
    sink_at(new).write([b"one\n"])
    assert new.stat().st_mode & 0o777 == 0o600


def test_the_name_of_the_replica_may_be_part_of_the_path(tmp_path: Path) -> None:
    sink_at(tmp_path / "audit-{replica}.jsonl").write([b"one\n"])
    assert (tmp_path / "audit-gw-1_a.jsonl").exists()


@pytest.mark.parametrize(
    ("path", "file"), [("audit.jsonl", "audit-w1.jsonl"), ("audit-{replica}.jsonl", "audit-gw-w1.jsonl")]
)
def test_each_worker_of_a_pod_has_a_file_of_its_own(tmp_path: Path, path: str, file: str) -> None:
    config = AuditFileConfig(path=str(tmp_path / path), max_bytes=1000, max_files=3)
    FileSink(config, replica="gw-w1", worker=1).write([b"one\n"])
    assert (tmp_path / file).exists()


def test_a_file_is_rotated_at_its_size_and_the_oldest_is_deleted(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    sink = sink_at(path, max_bytes=10)
    sink.write([b"%06d\n" % number for number in range(6)])
    assert path.read_bytes() == b"000005\n"
    assert [each.read_bytes() for each in (tmp_path / "audit.jsonl.1", tmp_path / "audit.jsonl.2")] == [
        b"000004\n",
        b"000003\n",
    ]
    assert not (tmp_path / "audit.jsonl.3").exists()


def test_several_lines_go_into_one_file_as_long_as_they_fit(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    sink = sink_at(path, max_bytes=20)
    sink.write([b"%06d\n" % number for number in range(3)])
    assert path.read_bytes() == b"000002\n"
    assert (tmp_path / "audit.jsonl.1").read_bytes() == b"000000\n000001\n"


def test_with_one_file_its_content_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    sink = sink_at(path, max_bytes=10, max_files=1)
    sink.write([b"000001\n", b"000002\n"])
    assert path.read_bytes() == b"000002\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_a_tool_has_renamed_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    sink = sink_at(path)
    sink.write([b"one\n"])
    path.rename(tmp_path / "old.jsonl")
    sink.write([b"two\n"])
    path.unlink()
    sink.write([b"three\n"])
    assert (tmp_path / "old.jsonl").read_bytes() == b"one\n"
    assert path.read_bytes() == b"three\n"


_FULL = """
import resource, signal, sys
from pathlib import Path
from ostiary_core.contract.audit import AuditFileConfig
from ostiary_gateway.audit.file_sink import FileSink
from ostiary_gateway.audit.sink import SinkError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
sink = FileSink(AuditFileConfig(path=str(path), max_bytes=10**6, max_files=2), replica="r")
sink.write([b"one\\n"])
resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
try:
    sink.write([b"x" * 20 + b"\\n"])
except SinkError as error:
    print(error.written, error)
assert path.read_bytes() == b"one\\n", path.read_bytes()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
sink.write([b"two\\n"])
print(path.read_bytes())
"""


def test_what_a_full_disk_cut_off_is_removed_and_written_again_later(tmp_path: Path) -> None:
    # The limit of a file's size fails as a full disk does: some bytes are written, then none. It is of a process.
    assert resource.RLIMIT_FSIZE
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path / "audit.jsonl")], capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    assert first.startswith("0 ")
    assert "cannot be written" in first
    assert second == repr(b"one\ntwo\n")


def test_a_full_device_is_an_error_of_the_sink() -> None:
    with pytest.raises(SinkError, match="not a regular file"):
        sink_at(Path("/dev/full")).open()


def test_two_processes_do_not_write_one_file(tmp_path: Path) -> None:
    first, second = (sink_at(tmp_path / "audit.jsonl") for _ in range(2))
    first.open()
    with pytest.raises(SinkError, match="another process writes"):
        second.open()
    first.close(0)
    second.open()


def test_a_missing_directory_is_an_error_until_it_exists(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "audit.jsonl"
    sink = sink_at(path)
    with pytest.raises(SinkError, match="No such file"):
        sink.write([b"one\n"])
    path.parent.mkdir()
    sink.write([b"one\n"])
    assert path.read_bytes() == b"one\n"


def test_a_fifo_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SinkError, match="not a regular file"):
        sink_at(tmp_path / "pipe").open()


def test_a_record_that_lacks_only_its_line_break_after_a_kill_is_whole(tmp_path: Path) -> None:
    path, killed = tmp_path / "audit.jsonl", WrittenTrail("gw-0/1").start().events(2)
    path.write_bytes(killed.text[:-1])
    sink = sink_at(path, max_bytes=10**6)
    sink.open()
    end = killed.chain.position
    assert sink.found == {**end._asdict(), "closed": False, "tornBytes": 0}
    before = b',"previous":{"id":"gw-0/1","seq":%d,"hash":"%b","closed":false,"tornBytes":0}'
    sink.write(WrittenTrail("gw-0/2").start(before % (end.seq, end.hash.encode())).close().lines)
    assert verified(path.read_bytes()).is_good
