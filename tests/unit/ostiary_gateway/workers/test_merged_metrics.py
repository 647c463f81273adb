"""The text of a scrape for all workers is the sum of theirs, and totals never shrink."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_metrics

import ostiary_gateway.metrics
from ostiary_core.metric_family import MetricKind
from ostiary_gateway.workers import merged_metrics
from ostiary_gateway.workers.merged_metrics import WorkerTotals, joined_scrapes, read_scrape, scrape_text
from ostiary_tools.generate.metrics_page import OF_THE_PROCESS, families

ONE = """\
# HELP calls_total Calls
# TYPE calls_total counter
calls_total{tool="a \\"b} c\\" \\\\ # {x"} 3.0
calls_total{tool="d"} 1.0
# HELP ostiary_config_revision Revision
# TYPE ostiary_config_revision gauge
ostiary_config_revision 7.0
# HELP seconds Durations
# TYPE seconds histogram
seconds_bucket{le="1.0"} 2
seconds_bucket{le="+Inf"} 3
seconds_count 3
seconds_sum 1.5
"""
OTHER = ONE.replace(" 7.0", " 5.0").replace('calls_total{tool="d"} 1.0\n', "")
#: States that are added up: of each worker's own connections, requests, queues and memory.
ADDED_UP = {
    "ostiary_audit_queue_capacity",
    "ostiary_audit_queue_records",
    "ostiary_bridge_sessions",
    "ostiary_bytes_in_flight",
    "ostiary_connections_open",
    "ostiary_loop_calls",
    "ostiary_parked_calls",
    "ostiary_requests_in_flight",
    "ostiary_span_queue_capacity",
    "ostiary_spans_waiting",
    "ostiary_streams_open",
    "ostiary_upstream_connections_open",
    "ostiary_upstream_requests_open",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
}


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The samples of a text, as the client library reads them."""
    parse = open_metrics if "# EOF" in text else plain_metrics
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def test_counters_and_histograms_are_added_and_the_oldest_revision_is_told() -> None:
    text = scrape_text(joined_scrapes([read_scrape(ONE), read_scrape(OTHER)]), is_open=False)
    found = samples(text)
    assert found["calls_total", (("tool", 'a "b} c" \\ # {x'),)] == 6
    assert found["calls_total", (("tool", "d"),)] == 1
    assert found["ostiary_config_revision", ()] == 5
    assert found["seconds_bucket", (("le", "+Inf"),)] == 6
    assert found["seconds_sum", ()] == 3.0


def test_an_exemplar_stays_with_its_bucket() -> None:
    bucket = 'seconds_bucket{le="+Inf"} 1 # {trace_id="a"} 0.5 1.0'
    text = f"# TYPE seconds histogram\n{bucket}\nseconds_count 1\nseconds_sum 0.5\n"
    joined = scrape_text(joined_scrapes([read_scrape(text), read_scrape(text)]), is_open=True)
    [family] = open_metrics(joined)  # type: ignore[no-untyped-call]
    [found] = [sample for sample in family.samples if sample.name == "seconds_bucket"]
    assert found.value == 2
    assert found.exemplar is not None
    assert found.exemplar.labels == {"trace_id": "a"}


def test_what_a_worker_had_counted_stays_after_its_end_and_its_states_go() -> None:
    totals = WorkerTotals()
    for index in (0, 1):
        totals.take(index, read_scrape(ONE))
    totals.worker_ended(0)
    joined = joined_scrapes(totals.parts({1: read_scrape(ONE)}, [0, 1]))
    assert joined["calls"].samples['calls_total{tool="d"}'] == 2
    assert joined["ostiary_config_revision"].samples == {"ostiary_config_revision": 7.0}
    joined = joined_scrapes(totals.parts({0: read_scrape(OTHER), 1: read_scrape(ONE)}, [0, 1]))
    assert joined["calls"].samples['calls_total{tool="d"}'] == 2


def test_a_worker_that_does_not_answer_counts_with_its_last_totals() -> None:
    totals = WorkerTotals()
    totals.take(0, read_scrape(ONE))
    totals.take(1, read_scrape(ONE))
    assert joined_scrapes(totals.parts({0: read_scrape(ONE)}, [0, 1]))["calls"].samples['calls_total{tool="d"}'] == 2


def test_a_worker_that_ends_while_a_scrape_is_written_is_counted_once_in_it() -> None:
    totals = WorkerTotals()
    found = {index: read_scrape(ONE) for index in (0, 1)}
    for index, scrape in found.items():
        totals.take(index, scrape)
    parts = totals.parts(found, [0, 1])
    totals.worker_ended(0)
    assert joined_scrapes(parts)["calls"].samples['calls_total{tool="d"}'] == 2
    assert joined_scrapes(totals.parts({1: found[1]}, [0, 1]))["calls"].samples['calls_total{tool="d"}'] == 2


def test_the_series_of_ended_workers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merged_metrics, "_MOST_KEPT", 3)
    totals = WorkerTotals()
    totals.take(0, read_scrape(ONE))
    totals.worker_ended(0)
    kept = joined_scrapes(totals.parts({}, []))
    assert sum(len(family.samples) for family in kept.values()) <= 3


@given(st.dictionaries(st.text(max_size=8), st.floats(0, 1e9), max_size=5))
def test_label_values_of_any_text_are_added_up_as_the_client_library_reads_them(values: dict[str, float]) -> None:
    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')

    lines = [f'calls_total{{tool="{escaped(key)}"}} {value}' for key, value in values.items()]
    text = "\n".join(["# TYPE calls_total counter", *lines, ""])
    found = samples(scrape_text(joined_scrapes([read_scrape(text)] * 2), is_open=False))
    assert {dict(labels).get("tool", ""): value for (_, labels), value in found.items()} == {
        key: value * 2 for key, value in values.items()
    }


def test_each_state_of_a_gateway_says_how_it_is_joined() -> None:
    gauges = {
        each.name for each in (*families(ostiary_gateway.metrics), *OF_THE_PROCESS) if each.kind is MetricKind.GAUGE
    }
    ruled = merged_metrics._LARGEST | merged_metrics._SMALLEST
    assert ruled - gauges == {"python_info"}, "remove each that is gone"
    assert gauges - ruled == ADDED_UP, "say of each new one whether workers add it up, or how else it is joined"
