import asyncio
import json
import tracemalloc
from typing import Any

import aiohttp
import pytest
from operator_objects import GATEWAY, StubReplica, listening_replica

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.status import replicas
from ostiary_operator.status.replica_reports import MAX_BYTES, Report, ReportError, most_bytes, parse_report
from ostiary_operator.status.replicas import NoResponse, Replica, from_slices, from_urls

DIGEST = "a" * 64
TOKEN = SecretBytes(b"admin-bearer")


def endpoint(address: str, *, ready: bool | None = True, name: str = "") -> dict[str, Any]:
    target = {"targetRef": {"kind": "Pod", "name": name}} if name else {}
    return {"addresses": [address], "conditions": {} if ready is None else {"ready": ready}, **target}


def endpoint_slice(*endpoints: dict[str, Any], port: str = "admin", number: int = 8081) -> dict[str, Any]:
    return {"ports": [{"name": "http", "port": 8080}, {"name": port, "port": number}], "endpoints": list(endpoints)}


def test_ready_endpoints_are_replicas_by_the_name_of_their_pod() -> None:
    found = from_slices([endpoint_slice(endpoint("10.0.0.2", name="gw-b"), endpoint("10.0.0.1", ready=None))])
    assert found == (Replica("http://10.0.0.1:8081", "10.0.0.1"), Replica("http://10.0.0.2:8081", "gw-b"))


def test_endpoints_that_are_not_ready_or_have_no_admin_port_are_none() -> None:
    assert from_slices([endpoint_slice(endpoint("10.0.0.1", ready=False))]) == ()
    assert from_slices([endpoint_slice(endpoint("10.0.0.1"), port="metrics")]) == ()
    assert from_slices([{"ports": None, "endpoints": None}]) == ()


def test_an_endpoint_in_two_slices_is_one_replica() -> None:
    assert len(from_slices([endpoint_slice(endpoint("10.0.0.1")), endpoint_slice(endpoint("10.0.0.1"))])) == 1


@pytest.mark.parametrize("addresses", [("10.0.0.1", "fd00::1"), ("fd00::1", "10.0.0.1")])
def test_a_pod_with_addresses_of_both_families_is_one_replica(addresses: tuple[str, str]) -> None:
    slices = [endpoint_slice(endpoint(each, name="gw-a")) for each in addresses]
    assert from_slices(slices) == (Replica("http://10.0.0.1:8081", "gw-a"),)


def test_an_ipv6_address_is_written_as_urls_want_it() -> None:
    assert from_slices([endpoint_slice(endpoint("fd00::1"))])[0].url == "http://[fd00::1]:8081"


def test_an_address_that_is_none_is_no_replica() -> None:
    assert from_slices([endpoint_slice(endpoint("evil.example/path@"), {"addresses": []})]) == ()


async def ask(replica: StubReplica) -> Report:
    async with aiohttp.ClientSession() as session:
        return await replicas.ask(session, from_urls([replica.url])[0], gateway=GATEWAY, token=TOKEN)


async def test_a_replica_is_polled_with_the_bearer_and_its_document_parsed() -> None:
    async with listening_replica(StubReplica(revision=7)) as replica:
        replica.entries = {"tools/crm": {"active": DIGEST, "rejected": None, "since": "a newer field"}}
        report = await ask(replica)
        assert replica.bearers == ["Bearer admin-bearer"]
    assert (report.revision, report.entries["tools/crm"].active) == (7, DIGEST)


@pytest.mark.parametrize(
    "change",
    [
        {"gateway": "tools/other"},
        {"revision": "7"},
        {"gateway": None},
        {"gateway": None, "revision": None, "entries": {"tools/crm": {"active": DIGEST}}},
        {"revision": -1},
        {"revision": 2**80},
        {"entries": []},
        {"entries": {"tools/crm": {"active": "not a digest"}}},
        {"replica": ""},
        {"rejected": "no"},
    ],
)
def test_an_answer_of_another_shape_is_refused_without_being_quoted(change: dict[str, Any]) -> None:
    document = {"gateway": GATEWAY, "revision": 1, "replica": "r", "entries": {}, "rejected": None} | change
    with pytest.raises(ReportError) as caught:
        parse_report(json.dumps(document).encode(), gateway=GATEWAY)
    assert "not a digest" not in str(caught.value)
    assert "tools/other" not in str(caught.value)


def test_a_replica_without_a_config_yet_is_understood_to_run_nothing() -> None:
    waits = {"revision": 7, "reason": "Incomplete", "message": "part 1 is not there"}
    document = {"gateway": None, "revision": None, "replica": "r", "entries": {}, "rejected": None, "incomplete": waits}
    report = parse_report(json.dumps(document).encode(), gateway=GATEWAY)
    assert report.runs_nothing
    assert report.incomplete is not None
    assert report.incomplete.message == "part 1 is not there"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"a":' * 10_000])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(ReportError):
        parse_report(body, gateway=GATEWAY)


def test_the_message_of_a_replica_becomes_one_bounded_line_and_its_reason_one_word() -> None:
    rejected = {"digest": DIGEST, "reason": "Odd\nReason: True", "message": "a\x1b[31m\nb\u202e" + "x" * 9999}
    entries = {"tools/crm": {"active": None, "rejected": rejected}}
    document = {"gateway": GATEWAY, "revision": 1, "replica": "r\n", "entries": entries, "rejected": None}
    found = parse_report(json.dumps(document).encode(), gateway=GATEWAY).entries["tools/crm"].rejected
    assert found is not None
    assert found.reason == "Invalid"
    assert found.message.startswith("a [31m b x")
    assert len(found.message) <= 500


@pytest.mark.parametrize(
    "entries",
    [
        {f"ns/{number}": 1 for number in range(50_000)},
        {"ns/a": {"servers": {f"{number}": 1 for number in range(50_000)}}},
        {"ns/a": {"servers": {f"A{number}": {} for number in range(50_000)}}},
    ],
    ids=["entries", "servers", "names"],
)
def test_of_a_response_with_a_hundred_thousand_faults_only_the_first_is_read(
    entries: dict[str, Any],
) -> None:
    body = json.dumps({"gateway": GATEWAY, "revision": 1, "replica": "r", "entries": entries}).encode()
    tracemalloc.start()
    try:
        with pytest.raises(ReportError):
            parse_report(body, gateway=GATEWAY)
        assert tracemalloc.get_traced_memory()[1] < 16 * len(body) + 2**20
    finally:
        tracemalloc.stop()


async def test_a_response_is_read_up_to_the_size_that_its_gateways_proxies_may_need() -> None:
    async with (
        listening_replica(StubReplica(body=b" " * (most_bytes(3) + 1))) as replica,
        aiohttp.ClientSession() as session,
    ):
        with pytest.raises(NoResponse, match="larger than"):
            await replicas.ask(session, Replica(replica.url, "r"), gateway=GATEWAY, token=TOKEN, most=most_bytes(3))
    assert most_bytes(3) < 2**20
    assert most_bytes(1_000) > 1_000 * 1024
    assert most_bytes(10**9) == MAX_BYTES


async def test_an_answer_that_never_ends_is_cut_off() -> None:
    async with listening_replica(StubReplica(body=b" " * (MAX_BYTES + 1))) as replica:
        with pytest.raises(NoResponse, match="larger than"):
            await ask(replica)


@pytest.mark.parametrize("status", [401, 302, 500])
async def test_any_status_but_200_is_no_answer(status: int) -> None:
    async with listening_replica(StubReplica(status=status)) as replica:
        with pytest.raises(NoResponse, match=str(status)):
            await ask(replica)


async def test_an_unreachable_or_hanging_replica_is_reported_as_not_answering(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoResponse, match=r"^no answer: Connection refused$"):
        await ask(StubReplica(url="http://127.0.0.1:1"))
    monkeypatch.setattr(replicas, "TIMEOUT", aiohttp.ClientTimeout(total=0.05))

    async def hang(_: StubReplica) -> None:
        await asyncio.sleep(30)

    async with listening_replica(StubReplica(before=hang)) as replica:
        with pytest.raises(NoResponse, match=r"^no answer: it took too long$"):
            await ask(replica)
