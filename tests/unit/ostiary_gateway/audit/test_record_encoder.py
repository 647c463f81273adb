"""Records: one line of JSON below 16 KiB, whatever callers, servers and identity providers send."""

import json
from dataclasses import replace
from typing import Any
from uuid import RFC_4122, UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary_core.audit.record_layout import EVENT, MAX_LINE_BYTES, kind_of
from ostiary_core.content.finding import ContentFinding, Direction
from ostiary_core.policy.decision import Decision, DecisionReason
from ostiary_core.policy.principal import Principal
from ostiary_core.redaction import DEFAULT
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.audit.audit_events import COMPLETE, RECEIVED, GatewayEvent, RequestEvent
from ostiary_gateway.audit.audit_plan import AuditPlan
from ostiary_gateway.audit.audited_content import ContentEncoder
from ostiary_gateway.audit.record_encoder import MOST_BYTES, RecordEncoder

TARGET = orjson.Fragment(b'{"gateway":"ostiary/default","proxy":"default/mock"}')
EVERY_TEXT = st.text(st.characters(blacklist_categories=()), max_size=2000)


def plan(arguments: Any = "Full", results: Any = "Full", max_bytes: int = 6144) -> AuditPlan:
    return AuditPlan("default/mock", "RequestResponse", arguments, results, max_bytes, None, True, False, TARGET)


def encoder(key: SecretBytes | None = None) -> RecordEncoder:
    return RecordEncoder(replica="gw-0", contents=ContentEncoder(key=lambda: key, redactor=DEFAULT))


def event(text: str = "echo", **changes: Any) -> RequestEvent:
    made = RequestEvent(
        plan=plan(),
        stage=COMPLETE,
        number=7,
        received_ns=1_800_000_000_123_456_789,
        stage_ns=1_800_000_000_223_456_789,
        principal=Principal(id=text, method="jwt", subject=text, issuer=text, consumer=text, groups=frozenset({text})),
        address="192.0.2.1",
        user_agent=text,
        http_method=text,
        method="tools/call",
        name=text,
        request_id=text,
        protocol=text,
        session=text,
        decision=None,
        shadow=None,
        limit=None,
        refusal=None,
        error_type=text,
        code=None,
        shown=b"",
        dropped=0,
        sizes=(1, 2),
        arguments=None,
        result=None,
        client={"name": text, "version": text},
        trace=("a" * 32, "b" * 16, True),
        revision=3,
    )
    return made._replace(**changes)


@settings(max_examples=100)
@given(EVERY_TEXT)
def test_no_text_of_a_caller_breaks_a_record(text: str) -> None:
    record = encoder().encode(event(text, arguments={text[:50] or "a": text}, result=[text] * 20))
    assert len(record) <= MOST_BYTES < MAX_LINE_BYTES
    assert kind_of(record) == EVENT
    assert b"\n" not in record
    assert not any(ord(each) < 32 or 0x7F <= ord(each) < 0xA0 for each in record.decode())
    json.loads(record)


@settings(max_examples=200)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "stage": st.sampled_from([RECEIVED, COMPLETE]),
            "number": st.integers(1, 2**50),
            "received_ns": st.integers(0, 2**61),
            "principal": st.none(),
            "address": st.sampled_from(["", "2001:db8::1"]),
            "user_agent": st.text(max_size=300),
            "http_method": st.text(max_size=80),
            "method": st.sampled_from(["", "tools/call", "resources/read"]),
            "name": st.text(max_size=300),
            "request_id": st.none() | st.integers() | st.text(max_size=200),
            "protocol": st.text(max_size=70),
            "session": st.none() | st.text(max_size=8),
            "decision": st.just(Decision(True, DecisionReason.ALLOWED, "default/p", "r%s", 3)),
            "shadow": st.just(Decision(False, DecisionReason.DENIED, "default/q", "s", 4)),
            "limit": st.just(("default/p", "rate", "limited")),
            "refusal": st.just(("LimitReached", -31004, 200)),
            "error_type": st.sampled_from(["", "tool_error", "-31004"]),
            "code": st.sampled_from([None, -31004]),
            "dropped": st.integers(0, 2),
            "client": st.none() | st.just({"name": "a", "version": 3}) | st.just({"name": "a%b", "version": "\x9f"}),
            "trace": st.sampled_from([("", "", False), ("a" * 32, "", False), ("a" * 32, "b" * 16, True)]),
        },
    )
)
def test_a_record_made_from_a_template_is_the_same_as_one_encoded_as_a_whole(changes: dict[str, Any]) -> None:
    metadata, encode = plan(arguments="None", results="None"), encoder().encode
    first, again = (event("echo", **{"plan": metadata, **changes})._replace(sizes=sizes) for sizes in ((5, 6), (7, 8)))
    for made in (first, again, first):
        # Content that is not recorded, but that no template is made for.
        assert encode(made) == encode(made._replace(arguments={}))


@pytest.mark.parametrize("stage", [RECEIVED, COMPLETE])
def test_the_event_loop_and_the_thread_write_the_same_record_with_the_same_id(stage: str) -> None:
    of_thread = encoder()
    of_loop = of_thread.twin()
    made = event(plan=plan(arguments="None", results="None"), stage=stage, arguments=None, result=None)
    assert of_loop.encode_plain(made) == of_thread.encode(made)


def test_the_event_loop_leaves_content_of_messages_and_other_records_to_the_thread() -> None:
    of_loop = encoder().twin()
    assert of_loop.encode_plain(event(arguments={"password": "x"})) is None
    assert of_loop.encode_plain(event(name="n" * 300, arguments=None)) is None
    assert of_loop.encode_plain(GatewayEvent("ConfigurationChanged", 1, {})) is None


def test_ids_stay_apart_and_keep_their_form_over_many_requests() -> None:
    encode = encoder().encode
    ids = [json.loads(encode(event(number=number)))["auditID"] for number in range(4000, 9000)]
    assert len(set(ids)) == len(ids)
    assert all(UUID(each).version == 7 and UUID(each).variant == RFC_4122 and str(UUID(each)) == each for each in ids)


@pytest.mark.parametrize("filler", ["x", "\x00", "\x85", '"', "\u202e", "😀"])
def test_the_longest_texts_of_all_parties_fit_into_a_line(filler: str) -> None:
    long = filler * 100_000
    claims = {"azp": long}
    who = Principal(
        id=long,
        method="jwt",
        subject=long,
        issuer=long,
        consumer=long,
        groups=frozenset(f"{number}{long}" for number in range(100)),
        claims=claims,
    )
    record = encoder().encode(event(long, principal=who, arguments={"a": long}, result={"b": long}))
    assert len(record) <= MOST_BYTES
    assert json.loads(record)["request"]["argumentsTruncated"] is True


def test_a_record_says_what_rules_about_content_found_and_never_the_value() -> None:
    found = ContentFinding("sales/pii", "cards", "CardNumber", "Mask", Direction.RESULTS)
    record = json.loads(encoder().encode(event(findings={found: 3, replace(found, rule="", is_shadow=True): 1})))
    cards = {"policy": "sales/pii", "rule": "cards", "detector": "CardNumber", "action": "Mask", "direction": "Results"}
    assert record["findings"][0] == {**cards, "count": 3}
    assert record["findings"][1]["mode"] == "Shadow"
    assert "findingsOmitted" not in record


def test_the_most_findings_with_the_longest_names_fit_into_a_line() -> None:
    long = ContentFinding(
        "n" * 63 + "/" + "p" * 253, "r" * 63, "d" * 63, "Tokenise", Direction.DEFINITIONS, is_shadow=True
    )
    findings = {replace(long, rule=f"{number:063}"): 10**9 for number in range(100)}
    text = "x" * 100_000
    record = encoder().encode(event(text, arguments={"a": text}, result={"b": text}, findings=findings))
    assert len(record) <= MOST_BYTES
    assert json.loads(record)["findingsOmitted"] == 84


def test_both_stages_have_one_id_and_other_requests_another() -> None:
    encode = encoder().encode
    first, last, other = (
        json.loads(encode(each)) for each in (event(stage="RequestReceived"), event(), event(number=8))
    )
    assert first["auditID"] == last["auditID"] != other["auditID"]
    assert "response" not in first
    assert last["stageTimestamp"] == "2027-01-15T08:00:00.223456Z"


def test_a_result_that_has_no_canonical_form_is_named_instead_of_digested() -> None:
    digests = plan(arguments="Digest", results="Digest")
    record = json.loads(encoder(SecretBytes(b"k" * 32)).encode(event(plan=digests, arguments={}, result=[2**70])))
    assert record["request"]["argumentsDigest"].startswith("hmac-sha256:")
    assert record["response"]["resultOmitted"] == "NotCanonical"
    assert json.loads(encoder().encode(event(plan=digests, arguments={})))["request"]["argumentsOmitted"] == "NoKey"


def test_a_list_is_counted_as_its_caller_sees_it() -> None:
    shown = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"name":"b"}]}}'
    metadata = plan(arguments="None", results="None")
    record = json.loads(encoder().encode(event(plan=metadata, method="tools/list", name="", shown=shown, dropped=1)))
    assert (record["response"]["items"], record["response"]["dropped"]) == (2, 1)
    assert "result" not in record["response"]
