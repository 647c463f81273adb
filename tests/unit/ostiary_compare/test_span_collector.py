"""Spans are counted as they are sent: in protobuf or JSON, in gzip or not, for each gateway at a port of its own."""

import gzip
import json
import os
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from timeouts import TIMEOUT_SECONDS

from ostiary_bench.probes import answers
from ostiary_compare.span_collector import spans_in
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.common.processes import Process, wait_until

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(BENCHMARKS), str(BENCHMARKS.parent / "tools")])}


def exported(*counts: int) -> bytes:
    """An export of as many scopes, each with some spans."""
    spans = [[Span(name="a" * 200, trace_id=b"t" * 16, start_time_unix_nano=1) for _ in range(each)] for each in counts]
    scopes = [ScopeSpans(spans=each, schema_url="u") for each in spans]
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[each]) for each in scopes])
    return bytes(request.SerializeToString())


@pytest.mark.parametrize("counts", [(), (0,), (1,), (3, 0, 300)])
def test_all_spans_of_all_scopes_count(counts: tuple[int, ...]) -> None:
    assert spans_in(exported(*counts)) == sum(counts)


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[list[int]]:
    ports = [reserve_port(), reserve_port()]
    command = [sys.executable, "-m", "ostiary_compare.span_collector", *map(str, ports)]
    process = Process("collector", command, log=tmp_path / "log", env=ENVIRONMENT)
    wait_until(lambda: all(map(answers, ports)), what="the collector", processes=[process])
    yield ports
    process.stop()


def post(port: int, path: str, body: bytes, **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body, headers=named)
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310  our own URL
        assert response.status == 200


def count(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/count", timeout=TIMEOUT_SECONDS) as response:
        return int(response.read())


def test_each_port_has_a_count_of_its_own_and_metrics_have_none(ports: list[int]) -> None:
    one, other = ports
    post(one, "/v1/traces", exported(2), content_type="application/x-protobuf")
    post(one, "/v1/traces", gzip.compress(exported(3)), content_encoding="gzip")
    document = {"resourceSpans": [{"scopeSpans": [{"spans": [{"spanId": "a"}, {"spanId": "b"}]}]}]}
    post(one, "/v1/traces", json.dumps(document).encode(), content_type="application/json")
    post(one, "/v1/metrics", exported(9))
    assert (count(one), count(other)) == (7, 0)
