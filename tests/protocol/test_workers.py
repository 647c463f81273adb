"""``--workers N``: several processes serve one data port, and one admin port answers for all of them."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from configs import ConfigWriter, entry
from gated_scene import RESULT, GatedScene
from gateway_process import GatewayProcess
from gateways import LONG_TIMEOUTS, LOOPBACK
from mcp_clients import eventually
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_metrics
from timeouts import TIMEOUT_SECONDS
from upstreams import Upstream
from volumes import swap_in_config
from worker_gateway import ADMIN, CALL, callers_of_each_worker, page, pids, samples, started, total
from yarl import URL

from ostiary_core.contract.documents import ServerConfig
from ostiary_core.evidence.proxy_traffic import TrafficDocument
from ostiary_core.evidence.recorded_call import CallsDocument
from ostiary_core.evidence.refusals import RefusalsDocument
from ostiary_core.strict_json import dumps
from ostiary_operator.status.replica_reports import parse_report

BOTH_UP = "ok\n2 of 2 workers up\n"


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files, with a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory() as found:
        monkeypatch.setenv("TMPDIR", found)
        yield Path(found)


@pytest.fixture
def scene() -> GatedScene:
    return GatedScene()


def inside(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}/status").exists()


async def test_both_workers_get_callers_and_one_admin_port_answers_for_both(tmp_path: Path, upstream: Upstream) -> None:
    async with started(tmp_path, upstream) as gateway, callers_of_each_worker(gateway) as callers:
        assert await page(gateway, "/readyz") == (200, BOTH_UP)
        assert await page(gateway, "/healthz") == (200, "ok\n")
        assert await total(gateway, "ostiary_connections_open") == len(callers)
        assert await total(gateway, "mcp_server_operation_duration_seconds_count") == len(callers)
        assert await total(gateway, "ostiary_config_proxies") == 1
        assert await total(gateway, "ostiary_workers_up") == 2
        for accept, parse in (("text/plain", plain_metrics), ("application/openmetrics-text", open_metrics)):
            _, text = await page(gateway, "/metrics", Accept=accept)
            names = [family.name for family in parse(text)]
            assert len(names) == len(set(names)) > 40
        gateway.terminate()
        assert await gateway.ended() == 0
        assert "worker 0: " in gateway.log
        assert "worker 1: " in gateway.log
        assert "Traceback" not in gateway.log


async def test_the_operator_reads_one_report_of_all_workers(tmp_path: Path, upstream: Upstream) -> None:
    async with started(tmp_path, upstream) as gateway:
        status, text = await page(gateway, "/config")
        assert status == 200
        report = parse_report(text.encode(), gateway=json.loads(text)["gateway"])
        assert report.entries["default/mock"].active is not None
        assert report.revision > 0
        assert [each["revision"] for each in json.loads(text)["workers"]] == [report.revision] * 2
        assert (await page(gateway, "/config", Authorization="Bearer wrong"))[0] == 401
        assert (await page(gateway, "/limits"))[0] == 200
        assert json.loads((await page(gateway, "/catalogue?proxy=default/mock"))[1])["servers"][0]["name"] == "up"
        assert (await page(gateway, "/catalogue?proxy=default/none"))[0] == 404


async def test_evidence_of_all_workers_is_one_document(tmp_path: Path, upstream: Upstream) -> None:
    async with started(tmp_path, upstream) as gateway, callers_of_each_worker(gateway) as callers:
        for caller in callers:
            await caller.post(CALL)
        made = 2 * len(callers)

        async def recorded() -> bool:
            calls = CallsDocument.model_validate_json((await page(gateway, "/evidence/calls"))[1])
            return len(calls.calls) == made

        await eventually(recorded)
        calls = CallsDocument.model_validate_json((await page(gateway, "/evidence/calls"))[1])
        numbers = [call.number for call in calls.calls]
        assert numbers == sorted(set(numbers))
        half = numbers[made // 2]
        later = (await page(gateway, f"/evidence/calls?after={half}"))[1]
        assert [call.number for call in CallsDocument.model_validate_json(later).calls] == numbers[made // 2 + 1 :]
        few = CallsDocument.model_validate_json((await page(gateway, f"/evidence/calls?after={half}&limit=1"))[1])
        assert [call.number for call in few.calls] == numbers[made // 2 + 1 :][:1]
        traffic = TrafficDocument.model_validate_json((await page(gateway, "/evidence/traffic"))[1])
        [mock] = [each for each in traffic.proxies if each.proxy == "default/mock"]
        assert sum(slot.calls for slot in mock.slots) == made
        RefusalsDocument.model_validate_json((await page(gateway, "/evidence/refusals"))[1])
        assert (await page(gateway, "/evidence/limits"))[0] == 200
        assert (await page(gateway, "/evidence/definitions?proxy=default/mock"))[0] == 200
        assert (await page(gateway, "/evidence/traffic?parts=none"))[0] == 400


async def test_a_reader_that_follows_gets_the_calls_of_all_workers_in_their_order(
    tmp_path: Path, upstream: Upstream
) -> None:
    async with started(tmp_path, upstream) as gateway, callers_of_each_worker(gateway) as callers:
        url = f"http://127.0.0.1:{gateway.admin_port}/evidence/calls?follow=true&after={10**15}"
        async with aiohttp.ClientSession() as http, http.get(url, headers=ADMIN) as response:
            assert json.loads(await response.content.readline())["kind"] == "Calls"
            numbers: list[int] = []
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while len(numbers) < 2 * len(callers):
                    line = json.loads(await response.content.readline() or b"{}")
                    if line.get("kind") == "Call":
                        numbers.append(line["number"])
                    if len(numbers) == len(callers):
                        for caller in callers:
                            await caller.post(CALL)
            assert numbers == sorted(set(numbers))


@asynccontextmanager
async def a_stopped_worker(gateway: GatewayProcess) -> AsyncIterator[int]:
    """One of two workers that does not answer, by its index; it goes on after the block."""
    stopped = pids(gateway)[1]
    os.kill(stopped, signal.SIGSTOP)
    try:
        yield 1
    finally:
        with suppress(ProcessLookupError):
            os.kill(stopped, signal.SIGCONT)


async def test_while_a_worker_hangs_the_others_answer_and_each_page_names_it(
    tmp_path: Path, upstream: Upstream
) -> None:
    paths = [
        *(
            "/config",
            "/limits",
            "/definitions?proxy=default/mock",
            "/catalogue?proxy=default/mock",
            "/evidence/traffic",
        ),
        *("/evidence/calls", "/evidence/refusals", "/evidence/limits", "/evidence/definitions?proxy=default/mock"),
    ]
    async with started(tmp_path, upstream) as gateway, callers_of_each_worker(gateway):
        whole = json.loads((await page(gateway, "/config"))[1])
        assert "missingWorkers" not in whole
        async with a_stopped_worker(gateway) as index:
            found = await asyncio.gather(*(page(gateway, path) for path in (*paths, "/healthz", "/readyz", "/metrics")))
            *pages, healthy, ready, metrics = found
            assert [status for status, _ in pages] == [200] * len(paths)
            assert [json.loads(text).get("missingWorkers") for _, text in pages] == [[index]] * len(paths)
            assert healthy[0] == 200
            assert ready == (503, f"worker {index} does not answer\n2 of 2 workers up\n")
            assert 'ostiary_worker_answering{worker="0"} 1.0' in metrics[1]
            assert f'ostiary_worker_answering{{worker="{index}"}} 0.0' in metrics[1]
            report = json.loads(pages[0][1])
            assert [each["revision"] for each in report["workers"]] == [whole["revision"]] * 2, "what it ran last"
            assert parse_report(dumps(report), gateway=report["gateway"]).entries["default/mock"].active is not None
            assert (await page(gateway, "/config", Authorization="Bearer wrong"))[0] == 401


async def test_what_a_worker_that_hangs_has_not_taken_is_not_in_force(tmp_path: Path, upstream: Upstream) -> None:
    operator = ConfigWriter()
    servers = [ServerConfig(name="up", url=upstream.url, timeouts=LONG_TIMEOUTS, addresses=LOOPBACK)]
    async with started(tmp_path, upstream, operator=operator) as gateway:

        async def active() -> str | None:
            _, text = await page(gateway, "/config")
            found: str | None = json.loads(text)["entries"]["default/mock"]["active"]
            return found

        before = await active()
        async with a_stopped_worker(gateway) as index:
            changed = entry("mock", servers=servers, generation=2)
            swap_in_config(tmp_path, operator.files(changed), secret=operator.secret)

            async def taken_by_the_other() -> bool:
                revisions = [each["revision"] for each in json.loads((await page(gateway, "/config"))[1])["workers"]]
                return len(set(revisions)) == 2

            await eventually(taken_by_the_other)
            assert await active() == before, f"worker {index} still runs it"

        async def in_force() -> bool:
            return await active() not in {before, None}

        await eventually(in_force)


async def test_a_reader_that_follows_while_a_worker_hangs_comes_again_once_it_answers(
    tmp_path: Path, upstream: Upstream
) -> None:
    async with started(tmp_path, upstream) as gateway, aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{gateway.admin_port}/evidence/calls?follow=true"
        async with a_stopped_worker(gateway) as index:
            response = await http.get(url, headers=ADMIN)
            assert json.loads(await response.content.readline())["missingWorkers"] == [index]
        async with asyncio.timeout(TIMEOUT_SECONDS):
            assert not (await response.content.read()).strip()
        async with http.get(url, headers=ADMIN) as again:
            assert "missingWorkers" not in json.loads(await again.content.readline())


async def test_a_worker_that_is_killed_is_replaced_and_totals_do_not_shrink(tmp_path: Path, upstream: Upstream) -> None:
    async with started(tmp_path, upstream) as gateway:
        async with callers_of_each_worker(gateway) as callers:
            made = len(callers)
            assert await total(gateway, "mcp_server_operation_duration_seconds_count") == made
        before = pids(gateway)
        os.kill(before[0], signal.SIGKILL)

        async def replaced() -> bool:
            now = pids(gateway)
            assert await total(gateway, "mcp_server_operation_duration_seconds_count") >= made
            return (
                len(now) == 2 and now != before and (await page(gateway, "/readyz"))[1].endswith("2 of 2 workers up\n")
            )

        await eventually(replaced)
        assert await samples(gateway, "ostiary_worker_ends_total") in (
            {'{reason="killed",worker="0"}': 1.0},
            {'{reason="killed",worker="1"}': 1.0},
        )
        async with callers_of_each_worker(gateway):
            pass
        assert "SIGKILL" in gateway.log
        gateway.terminate()
        assert await gateway.ended() == 0


async def test_sigterm_answers_what_is_in_flight_at_every_worker(
    tmp_path: Path, scene: GatedScene, upstream: Upstream
) -> None:
    async with started(tmp_path, upstream, drain_seconds=120.0) as gateway, callers_of_each_worker(gateway) as callers:
        scene.gate.clear()
        calls = [asyncio.create_task(caller.post(CALL)) for caller in callers]

        async def all_in_flight() -> bool:
            return await total(gateway, "ostiary_requests_in_flight") == len(callers)

        await eventually(all_in_flight)
        gateway.terminate()

        async def leaving() -> bool:
            return (await page(gateway, "/readyz"))[0] == 503

        await eventually(leaving)
        scene.gate.set()
        assert [(await call).result for call in calls] == [RESULT] * len(callers)
        assert await gateway.ended() == 0
        assert "unanswered" not in gateway.log


async def test_workers_end_with_their_supervisor_and_leave_no_folder(
    tmp_path: Path, scene: GatedScene, upstream: Upstream, folders: Path
) -> None:
    async with started(tmp_path, upstream, drain_delay_seconds=3600.0) as gateway:
        assert len(inside(folders)) == 1
        async with callers_of_each_worker(gateway) as callers:
            scene.gate.clear()
            calls = [asyncio.create_task(caller.post(CALL)) for caller in callers]

            async def all_in_flight() -> bool:
                return await total(gateway, "ostiary_requests_in_flight") == len(callers)

            await eventually(all_in_flight)
            workers = pids(gateway)
            gateway.kill()
            await gateway.ended()

            scene.gate.set()
            assert all([(await call).messages for call in calls]), "what was in flight is answered"

            async def refuses() -> bool:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
                except OSError:
                    return True
                writer.close()
                return False

            await eventually(refuses)

        async def gone() -> bool:
            return not any(map(is_running, workers))

        await eventually(gone)
        assert not inside(folders)


async def test_a_worker_that_is_stopped_ends_with_its_supervisor_too(
    tmp_path: Path, upstream: Upstream, folders: Path
) -> None:
    async with started(tmp_path, upstream) as gateway, callers_of_each_worker(gateway):
        workers = pids(gateway)
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        gateway.kill()
        await gateway.ended()

    async def gone() -> bool:
        return not any(map(is_running, workers))

    await eventually(gone)
    assert not inside(folders)


async def test_what_a_gateway_left_that_was_killed_as_a_whole_the_next_one_removes(
    tmp_path: Path, upstream: Upstream, folders: Path
) -> None:
    async with started(tmp_path, upstream) as gateway:
        workers = pids(gateway)
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        gateway.kill()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        await gateway.ended()
        [left] = inside(folders)
    async with started(tmp_path, upstream):
        [used] = inside(folders)
        assert used != left
        async with started(tmp_path, upstream):
            assert used in inside(folders), "another one removes only what is not in use"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--audit-file", "/nonexistent/audit.jsonl"], "/nonexistent"),
        (["--port", "{taken}"], "data port: cannot listen on 127.0.0.1:{taken}"),
    ],
)
async def test_a_gateway_that_cannot_start_says_why_once_and_ends(
    tmp_path: Path, upstream: Upstream, arguments: list[str], reason: str
) -> None:
    taken = str(URL(upstream.url).port)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ostiary_operator.cli", "gateway", "--config", str(tmp_path), "--workers", "2"),
        *("--port", "0", "--admin-port", "0", *(each.format(taken=taken) for each in arguments)),
        stderr=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):
        _, errors = await process.communicate()
    assert process.returncode == 1, errors
    assert "Traceback" not in errors.decode()
    [line] = [line for line in errors.decode().splitlines() if line.startswith("ostiary gateway: ")]
    assert reason.format(taken=taken) in line
