"""`ostiary audit`: verdicts, queries and keys, with their exit codes."""

import gzip
import io
import json
import sys
from pathlib import Path

import pytest
from audit_trails import KEY, OTHER_KEY, WrittenTrail, trail

from ostiary_core.audit.record_layout import EVENT
from ostiary_core.audit.signatures import pem_of
from ostiary_operator.cli.entry import main


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.pem"
    path.write_text(pem_of(KEY.public))
    return path


def written(tmp_path: Path, text: bytes, name: str = "audit.jsonl") -> str:
    path = tmp_path / name
    path.write_bytes(text)
    return str(path)


def verify(*arguments: object) -> int:
    return main(["audit", "verify", *map(str, arguments)])


def test_a_good_trail_is_0_and_a_changed_one_is_1_with_the_first_bad_line(
    tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = trail()
    path = written(tmp_path, good.text)
    assert verify("--public-key", key, path) == 0
    shown = capsys.readouterr().out
    assert "warning" not in shown
    assert shown.endswith("OK: 11 records in 1 file: none was changed, removed, added or moved\n")
    written(tmp_path, good.text.replace(b'"auditID":"3"', b'"auditID":"4"'))
    assert verify("--public-key", key, path) == 1
    shown = capsys.readouterr().out
    assert f"{path}: line 4: this record was changed" in shown
    assert shown.endswith(f"FAILED: 1 problem in 11 records; the first is at {path}: line 4\n")


def test_without_a_key_of_the_auditor_the_verdict_says_what_it_does_not_show(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, trail(key=OTHER_KEY).text)
    assert verify(path) == 0
    assert "That does not show that it is the gateway's" in capsys.readouterr().out
    assert verify("--keys-from-genesis", path) == 0
    assert "warning" not in capsys.readouterr().out


def test_a_trail_by_another_key_is_1(tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify("--public-key", key, written(tmp_path, trail(key=OTHER_KEY).text)) == 1
    assert "which is not trusted: it may be forged" in capsys.readouterr().out


def test_an_open_trail_is_good_only_if_it_is_said_to_be_open(tmp_path: Path, key: Path) -> None:
    path = written(tmp_path, WrittenTrail().start().events(3).text)
    assert verify("--public-key", key, path) == 1
    assert verify("--public-key", key, "--open", path) == 0
    assert verify("--public-key", key, "--open", "--strict", path) == 1


def test_rotated_files_are_read_in_order_however_the_shell_lists_them(tmp_path: Path, key: Path) -> None:
    lines = trail().lines
    newest = written(tmp_path, b"".join(lines[8:]))
    middle = written(tmp_path, gzip.compress(b"".join(lines[4:8])), "audit.jsonl.1.gz")
    oldest = written(tmp_path, b"".join(lines[:4]), "audit.jsonl.2")
    assert verify("--public-key", key, newest, middle, oldest) == 0
    assert verify("--public-key", key, newest, oldest) == 1
    assert verify("--public-key", key, newest, middle) == 1
    assert verify("--public-key", key, "--from-middle", newest, middle) == 0


def test_a_published_checkpoint_shows_that_a_closed_trail_was_replaced_by_a_shorter_one(
    tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = trail(events=9)
    identity, seq, digest = long.chain.position
    short = written(tmp_path, trail(events=4).text)
    assert verify("--public-key", key, "--checkpoint", f"{identity}@{seq}:{digest}", short) == 1
    log = written(tmp_path, f'INFO {{"chain":"{identity}","seq":{seq},"hash":"{digest}"}}\nother\n'.encode(), "log")
    assert verify("--public-key", key, "--checkpoints", log, short) == 1
    whole = written(tmp_path, long.text)
    assert verify("--public-key", key, "--checkpoints", log, "--checkpoint", f"{seq}:{digest}", whole) == 0
    assert "FAILED" in capsys.readouterr().out


def test_json_has_the_findings_for_programs(tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, b"".join(trail().lines[:5]))
    assert verify("--public-key", key, "-o", "json", path) == 1
    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["good"], verdict["problems"], verdict["keysTrustedFrom"]) == (False, 1, "auditor")
    (finding,) = verdict["findings"]
    assert (finding["kind"], finding["file"], finding["line"]) == ("NotClosed", path, 5)
    assert verdict["chains"][0]["end"] == "open"


def test_stdin_and_the_log_of_a_container(
    key: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = b"INFO started\n" + trail().text
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert verify("--public-key", key, "--mixed", "-") == 0
    assert "and 1 other lines skipped" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.jsonl"], "missing.jsonl: No such file"),
        (["{trail}", "{trail}"], "the same file"),
        (["--public-key", "{trail}", "{trail}"], "it holds no public key"),
        (["--public-key", "missing.pem", "{trail}"], "missing.pem"),
        (["--checkpoint", "7", "{trail}"], "[CHAIN@]SEQ:HASH"),
        (["--checkpoints", "{key}", "{trail}"], "it holds no checkpoint"),
        (["{damaged}"], "compressed data is"),
    ],
)
def test_what_cannot_be_verified_is_2(
    tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    named = {
        "trail": written(tmp_path, trail().text),
        "key": str(key),
        "damaged": written(tmp_path, gzip.compress(trail().text)[:-20], "damaged.gz"),
    }
    assert verify(*(argument.format(**named) for argument in arguments)) == 2
    assert message in capsys.readouterr().err


def event(tool: str, *, time: str, decision: str = "allow", consumer: str = "sales/agent") -> bytes:
    members = {
        "user": {"consumer": consumer, "username": "sub"},
        "mcp": {"method": "tools/call", "tool": tool},
        "objectRef": {"proxy": "sales/crm"},
        "authz": {"decision": decision},
        "response": {"outcome": "success"},
        "durationMs": 3.5,
        "at": time,
    }
    return b"," + json.dumps(members, separators=(",", ":")).encode()[1:-1]


@pytest.fixture
def calls(tmp_path: Path) -> str:
    found = WrittenTrail().start()
    for number in range(5):
        found.add(EVENT, event("refund", time=str(number), decision="deny" if number == 2 else "allow"))
    found.add(EVENT, event("evil\x1b[31m\n", time="5", consumer="ops/agent"))
    return written(tmp_path, found.close().text)


def query(*arguments: str) -> int:
    return main(["audit", "query", *arguments])


def test_records_are_found_by_what_they_say(calls: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert query("--tool", "refund", "--decision", "deny", "-o", "json", calls) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["at"] == "2"
    assert query("--consumer", "ops/agent", "-o", "jsonl", calls) == 0
    assert json.loads(capsys.readouterr().out)["at"] == "5"
    assert query("--tool", "deny", calls) == 1
    assert "no record matches" in capsys.readouterr().err
    assert query("--kind", "All", "-o", "json", calls) == 0
    assert len(json.loads(capsys.readouterr().out)) == 10


def test_a_table_has_no_control_characters_of_callers(calls: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert query(calls) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 7
    assert out.splitlines()[1].split()[1:6] == ["sales/agent", "sales/crm", "tools/call", "refund", "allow"]


def test_a_request_without_a_method_of_mcp_is_shown_with_that_of_http(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trail = WrittenTrail().start().add(EVENT, b',"mcp":{"httpMethod":"DELETE","path":"/unknown/mcp"}')
    assert query(written(tmp_path, trail.close().text)) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[3:5] == ["DELETE", "/unknown/mcp"]


def test_a_name_with_characters_that_records_escape_is_found(tmp_path: Path) -> None:
    trail = WrittenTrail().start().add(EVENT, b',"mcp":{"tool":"a\\u2028b"}')
    assert query("--tool", "a\u2028b", written(tmp_path, trail.close().text)) == 0


def test_the_last_records_are_shown_and_the_number_of_all(calls: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert query("--limit", "2", "-o", "json", calls) == 0
    captured = capsys.readouterr()
    assert [record["at"] for record in json.loads(captured.out)] == ["4", "5"]
    assert "the last 2 of 6 records" in captured.err


@pytest.mark.parametrize(
    ("since", "until", "count"),
    [
        ("2026-11-29T17:00:00Z", "", 6),
        ("2026-11-29T17:00:00.000001Z", "", 0),
        ("2026-11-29T18:30:00+02:00", "2026-11-30", 6),
        ("", "2026-11-29T17:00:00Z", 0),
    ],
)
def test_records_are_found_by_their_time(
    calls: str, capsys: pytest.CaptureFixture[str], since: str, until: str, count: int
) -> None:
    times = [*(["--since", since] if since else []), *(["--until", until] if until else [])]
    assert query(*times, "-o", "json", calls) == (0 if count else 1)
    assert len(json.loads(capsys.readouterr().out)) == count


def test_a_time_or_kind_that_is_none_is_2(calls: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert query("--since", "yesterday", calls) == 2
    assert "is no time" in capsys.readouterr().err
    assert query("--kind", "Evnt", calls) == 2
    assert "it is one of" in capsys.readouterr().err


def test_the_public_keys_of_a_folder_of_keys_are_what_verify_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "audit-1").write_bytes(b"k" * 32)
    (tmp_path / "audit-2").write_bytes(b"o" * 32)
    (tmp_path / "mac-1").write_bytes(b"m" * 32)
    assert main(["audit", "keys", str(tmp_path)]) == 0
    assert capsys.readouterr().out == pem_of(OTHER_KEY.public) + pem_of(KEY.public)
    assert main(["audit", "keys", str(tmp_path / "missing")]) == 2
