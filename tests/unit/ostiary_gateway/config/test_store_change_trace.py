"""The swap of a config that carries the trace of its change."""

from configs import GATEWAY, ConfigWriter, entry
from gateways import policy

from ostiary_core.contract import change_trace
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.telemetry.config_span import config_load_recorder
from ostiary_gateway.telemetry.span_record import ERROR, PlainRecord, SpanRecord
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.pools import ServerPools

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
BAD_PATTERN = {"name": "bad", "effect": "Deny", "tools": {"patterns": ["("]}}


class TracedStore:
    """A store whose loads are recorded as spans."""

    def __init__(self) -> None:
        self.store = ConfigStore(gateway=GATEWAY, servers=ServerPools(OwnEndpoints()).take)
        self.spans: list[SpanRecord] = []
        self.store.on_load = config_load_recorder(self)

    def ended(self, span: PlainRecord) -> None:
        self.spans.append(SpanRecord._make(span))

    async def take(self, operator: ConfigWriter, files: dict[str, bytes], flags: str = "03") -> None:
        parent = f"00-{TRACE}-{PARENT}-{flags}"
        revision, key = operator.revision, operator.mac_key
        trace = change_trace.write(parent, revision=revision, key_name="mac-1", key=key)
        await self.store.offer("directory", {**files, **trace}, operator.keys)


async def test_a_swap_is_a_child_of_the_delivery_with_what_changed() -> None:
    it, operator = TracedStore(), ConfigWriter()
    await it.take(operator, operator.files(entry("crm"), entry("wiki")))
    (span,) = it.spans
    assert (span.name, span.trace_id, span.parent_span_id, span.status) == ("config swap", TRACE, PARENT, 0)
    assert span.parent_is_remote
    assert span.end_ns >= span.start_ns
    assert span.attributes == {
        "ostiary.gateway": GATEWAY,
        "ostiary.config.revision": operator.revision,
        "ostiary.config.proxies": 2,
        "ostiary.config.changed_entries": 2,
        "ostiary.config.rejected_entries": 0,
    }


async def test_the_same_revision_again_is_no_swap() -> None:
    it, operator = TracedStore(), ConfigWriter()
    files = operator.files(entry("crm"))
    await it.take(operator, files)
    await it.take(operator, files)
    assert len(it.spans) == 1


async def test_a_rejected_entry_makes_the_span_an_error_that_names_it() -> None:
    it, operator = TracedStore(), ConfigWriter()
    broken = policy("broken", BAD_PATTERN)
    await it.take(operator, operator.files(entry("crm", [broken]), policies=[broken]))
    (span,) = it.spans
    assert span.status == ERROR
    assert span.description.startswith("MCPProxy default/crm: ")
    assert span.attributes["ostiary.config.rejected_entries"] == 1
    assert span.attributes["error.type"]


async def test_an_unsampled_trace_or_one_without_proof_is_not_recorded_and_the_config_is_used() -> None:
    it, operator = TracedStore(), ConfigWriter()
    await it.take(operator, operator.files(entry("crm")), flags="02")
    files = {**operator.files(entry("wiki")), change_trace.TRACE_FILE: b'{"traceparent":"00-x"}'}
    await it.store.offer("directory", files, operator.keys)
    assert it.spans == []
    assert it.store.snapshot is not None
    assert it.store.snapshot.revision == operator.revision


async def test_without_a_recorder_nothing_is_read() -> None:
    it, operator = TracedStore(), ConfigWriter()
    it.store.on_load = None
    await it.take(operator, operator.files(entry("crm")))
    assert it.spans == []
