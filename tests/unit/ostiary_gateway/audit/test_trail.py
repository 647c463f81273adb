"""A trail and its sinks: one of two that fails, sinks that change, and an end while a sink fails."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from audit_trails import KEY, verified

from ostiary_core.audit.record_layout import CHECKPOINT, EVENT, GAP, kind_of
from ostiary_core.audit.trail_check import Expectations
from ostiary_core.audit.trail_findings import TrailFindingKind
from ostiary_core.contract.audit import AuditFileConfig, AuditSinkConfig
from ostiary_core.redaction import DEFAULT
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.audit import sink_delivery
from ostiary_gateway.audit.audit_events import GatewayEvent
from ostiary_gateway.audit.audit_keys import AuditKeys
from ostiary_gateway.audit.audited_content import ContentEncoder
from ostiary_gateway.audit.file_sink import FileSink
from ostiary_gateway.audit.record_encoder import RecordEncoder
from ostiary_gateway.audit.sink import Sink, SinkError
from ostiary_gateway.audit.trail import Trail

STDOUT = AuditSinkConfig(stdout=True)
FILE_BYTES = 10**7


class SwitchedTrail:
    """A trail in memory that fails while it is off."""

    is_copy = False
    lost = 0
    fault = None

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.lines: list[bytes] = []
        self.is_off = False
        self.closed = False

    def write(self, lines: Sequence[bytes]) -> None:
        if self.is_off:
            raise SinkError("it is off")
        self.lines += lines

    def close(self, seconds: float) -> None:
        assert seconds >= 0.0
        self.closed = True

    @property
    def text(self) -> bytes:
        return b"".join(self.lines)

    def of_kind(self, kind: str) -> list[bytes]:
        return [line for line in self.lines if kind_of(line) == kind]


def file(path: Path | str) -> AuditSinkConfig:
    return AuditSinkConfig(file=AuditFileConfig(path=str(path), max_bytes=FILE_BYTES, max_files=2))


def encoder() -> RecordEncoder:
    return RecordEncoder(replica="gw-0", contents=ContentEncoder(key=lambda: None, redactor=DEFAULT))


def trail_to(open_sink: Callable[[AuditSinkConfig], Sink], *configs: AuditSinkConfig) -> Trail:
    made = Trail(
        chain_id="gw-0/1",
        keys=AuditKeys(lambda: {0: SecretBytes(b"k" * 32)}),
        encoder=encoder(),
        open_sink=open_sink,
        interval=1e9,
        on_checkpoint=lambda *_: None,
    )
    made.use(configs)
    made.begin({})
    return made


def add(trail: Trail, count: int = 1) -> None:
    """Add records, and deliver them as the thread does."""
    for number in range(count):
        trail.add(encoder().encode(GatewayEvent(EVENT, 1_800_000_000_000_000_000, {"auditID": str(number)})))
    trail.deliver()


@pytest.fixture
def sinks(monkeypatch: pytest.MonkeyPatch) -> dict[str, SwitchedTrail]:
    """Sinks in memory: stdout, and files by path. Each is tried again at once after it failed."""
    monkeypatch.setattr(sink_delivery, "RETRY_SECONDS", 0.0)
    return {}


def opener(sinks: dict[str, SwitchedTrail]) -> Callable[[AuditSinkConfig], Sink]:
    def open_sink(config: AuditSinkConfig) -> Sink:
        name = config.file.path if config.file is not None else "stdout"
        return sinks.setdefault(name, SwitchedTrail(name))

    return open_sink


def with_one_far_behind(sinks: dict[str, SwitchedTrail]) -> Trail:
    """A trail with two sinks, one of which was off for so long that it has lost lines."""
    trail = trail_to(opener(sinks), STDOUT, file("a"))
    sinks["a"].is_off = True
    for _ in range(30):
        add(trail)
    return trail


def test_a_sink_that_fails_for_a_short_time_gets_everything_later(sinks: dict[str, SwitchedTrail]) -> None:
    trail = trail_to(opener(sinks), STDOUT)
    sinks["stdout"].is_off = True
    add(trail, 5)
    assert trail.fault == "it is off"
    assert trail.deliveries[0].waiting == 5
    sinks["stdout"].is_off = False
    add(trail)
    assert trail.fault is None
    trail.end({}, seconds=1.0)
    assert verified(sinks["stdout"].text).findings == ()


def test_of_two_sinks_one_that_fails_for_long_does_not_stop_the_other_and_its_hole_is_named(
    sinks: dict[str, SwitchedTrail], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink_delivery, "MOST_BYTES", 2000)
    trail = with_one_far_behind(sinks)
    assert not trail.is_full
    sinks["a"].is_off = False
    add(trail, 2)
    trail.end({}, seconds=1.0)
    assert verified(sinks["stdout"].text).findings == ()
    [gap] = [json.loads(line)["gap"] for line in sinks["a"].of_kind(GAP)]
    assert (gap["reason"], gap["sink"]) == ("SinkFailed", "a")
    assert gap["fromSeq"] == 3
    verdict = verified(sinks["a"].text)
    assert verdict.is_good
    assert [finding.kind for finding in verdict.findings] == [TrailFindingKind.GAP]


def test_a_sink_that_works_again_at_the_very_end_still_names_its_hole(
    sinks: dict[str, SwitchedTrail], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink_delivery, "MOST_BYTES", 2000)
    trail = with_one_far_behind(sinks)
    sinks["a"].is_off = False
    trail.end({}, seconds=1.0)
    for each in sinks.values():
        assert verified(each.text).is_good
        assert kind_of(each.lines[-1]) == CHECKPOINT


def test_while_every_trail_is_behind_nothing_more_is_made(
    sinks: dict[str, SwitchedTrail], monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = trail_to(opener(sinks), STDOUT, file("a"))
    monkeypatch.setattr(sink_delivery, "MOST_BYTES", 2000)
    for each in sinks.values():
        each.is_off = True
    while not trail.is_full:
        add(trail)
    for each in sinks.values():
        each.is_off = False
    trail.deliver()
    trail.end({}, seconds=1.0)
    assert verified(sinks["stdout"].text).findings == verified(sinks["a"].text).findings == ()


def test_what_waits_for_a_sink_that_is_replaced_goes_to_its_successor(sinks: dict[str, SwitchedTrail]) -> None:
    trail = trail_to(opener(sinks), file("full"))
    add(trail, 3)
    sinks["full"].is_off = True
    add(trail, 4)
    trail.use([file("other")])
    add(trail, 2)
    trail.end({}, seconds=1.0)
    assert sinks["full"].closed
    whole = verified(sinks["full"].text, sinks["other"].text)
    assert whole.findings == ()
    assert [chain.end for chain in whole.chains] == ["closed"]


def test_sinks_that_stay_go_on_and_a_new_file_begins_in_the_middle(sinks: dict[str, SwitchedTrail]) -> None:
    trail = trail_to(opener(sinks), STDOUT)
    add(trail, 3)
    trail.use([file("new"), STDOUT, file("new")])
    add(trail, 3)
    trail.end({}, seconds=1.0)
    assert verified(sinks["stdout"].text).findings == ()
    middle = verified(sinks["new"].text, expected=Expectations(keys=frozenset({KEY.public}), from_middle=True))
    assert middle.is_good, middle.findings
    assert len(sinks["new"].lines) == 3 + 2


def test_a_file_that_was_rotated_just_before_the_process_was_killed_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    def open_sink(config: AuditSinkConfig) -> Sink:
        assert config.file is not None
        return FileSink(config.file, replica="gw-0")

    first = trail_to(open_sink, file(path))
    add(first, 3)
    position = first.position
    first.deliveries[0].sink.close(0)
    path.rename(tmp_path / "audit.jsonl.1")
    path.touch()
    second = trail_to(open_sink, file(path))
    second.end({}, seconds=1.0)
    started = json.loads(path.read_bytes().splitlines()[0])
    assert started["previous"] == {**position._asdict(), "closed": False, "tornBytes": 0}
