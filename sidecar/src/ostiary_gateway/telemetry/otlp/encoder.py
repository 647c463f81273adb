"""Encode records as OTLP (opentelemetry-proto v1) without building message objects.

It costs a sixth of the SDK's encoder, and a differential test shows equal output. Resource and scope are encoded once;
attributes with few different values are cached.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from ostiary_gateway.telemetry import semantic_conventions
from ostiary_gateway.telemetry.otlp.wire_format import (
    FIXED32,
    FIXED64,
    LENGTH,
    VARINT,
    delimited,
    double,
    fixed32,
    int64,
    tag,
    text,
    varint,
)
from ostiary_gateway.telemetry.span_record import Attributes, AttributeValue, PlainRecord

# Span. Ids are hex text, so their tags are, too: one conversion turns all three into bytes.
_TRACE_ID: Final = (tag(1, LENGTH) + varint(16)).hex()
_SPAN_ID: Final = (tag(2, LENGTH) + varint(8)).hex()
_PARENT_SPAN_ID: Final = (tag(4, LENGTH) + varint(8)).hex()
_TRACE_STATE: Final = tag(3, LENGTH)
_NAME: Final = tag(5, LENGTH)
_KIND: Final = tag(6, VARINT)
_TIMES: Final = struct.Struct("<cQcQ").pack
_START: Final = tag(7, FIXED64)
_END: Final = tag(8, FIXED64)
_ATTRIBUTES: Final = tag(9, LENGTH)
_DROPPED_ATTRIBUTES: Final = tag(10, VARINT)
_LINKS: Final = tag(13, LENGTH)
_STATUS: Final = tag(15, LENGTH)
_FLAGS: Final = tag(16, FIXED32)
# Span.Link
_LINK_FLAGS: Final = tag(6, FIXED32)
# Status
_MESSAGE: Final = tag(2, LENGTH)
_CODE: Final = tag(3, VARINT)
# KeyValue, AnyValue, ArrayValue
_KEY: Final = tag(1, LENGTH)
_VALUE: Final = tag(2, LENGTH)
_STRING: Final = tag(1, LENGTH)
_BOOL: Final = tag(2, VARINT)
_INT: Final = tag(3, VARINT)
_DOUBLE: Final = tag(4, FIXED64)
_ARRAY: Final = tag(5, LENGTH)
_VALUES: Final = tag(1, LENGTH)
# ResourceSpans, ScopeSpans, ExportTraceServiceRequest, Resource, InstrumentationScope
_FIRST: Final = tag(1, LENGTH)
_SECOND: Final = tag(2, LENGTH)
_THIRD: Final = tag(3, LENGTH)

#: SpanFlags: whether the parent (or link) is remote is known, and whether it is.
_LOCAL: Final = fixed32(0x100)
_REMOTE: Final = fixed32(0x300)

_INT64_MIN: Final = -(1 << 63)
_INT64_MAX: Final = (1 << 63) - 1

#: Keys whose values rarely repeat: caching those would evict the useful ones.
_UNIQUE: Final = frozenset(
    (
        semantic_conventions.JSONRPC_REQUEST_ID,
        semantic_conventions.MCP_SESSION_ID,
        semantic_conventions.SESSION_ID,
        semantic_conventions.MCP_RESOURCE_URI,
        semantic_conventions.GEN_AI_TOOL_CALL_ARGUMENTS,
        semantic_conventions.GEN_AI_TOOL_CALL_RESULT,
    )
)
_REMEMBERED: Final = 2048


class TraceEncoder:
    """Encodes batches for one resource and one scope. Use it on one thread."""

    __slots__ = ("_resource", "_scope")

    def __init__(self, resource: Attributes, *, scope_name: str, scope_version: str, schema_url: str = "") -> None:
        encoded = b"".join(delimited(_FIRST, key_value(key, value)) for key, value in resource.items())
        self._resource = delimited(_FIRST, encoded)
        scope = _optional(_FIRST, scope_name) + _optional(_SECOND, scope_version)
        self._scope = delimited(_FIRST, scope), _optional(_THIRD, schema_url)

    def request(self, spans: Sequence[bytes]) -> bytes:
        """The request that contains ``spans``, each from :func:`encode_span`."""
        scope, schema_url = self._scope
        scope_spans = delimited(_SECOND, b"".join((scope, *spans, schema_url)))
        return delimited(_FIRST, self._resource + scope_spans)


def encode_span(record: PlainRecord) -> bytes:
    """One span, with the tag and length of a field of ``ScopeSpans``."""
    (
        trace_id,
        span_id,
        parent_span_id,
        parent_is_remote,
        tracestate,
        name,
        kind,
        start_ns,
        end_ns,
        attributes,
        status,
        description,
        links,
        dropped,
    ) = record
    ids = f"{_TRACE_ID}{trace_id}{_SPAN_ID}{span_id}"
    parts = [
        bytes.fromhex(f"{ids}{_PARENT_SPAN_ID}{parent_span_id}" if parent_span_id else ids),
        _TIMES(_START, start_ns, _END, end_ns),
        _constants(kind, parent_is_remote),
        _text_field(_NAME, name),
        _status(status, description),
        encode_attributes(attributes),
    ]
    if tracestate:
        parts.append(delimited(_TRACE_STATE, text(tracestate)))
    if links:
        parts.extend(_link(*link) for link in links)
    if dropped:
        parts.append(_DROPPED_ATTRIBUTES + varint(dropped))
    return delimited(_SECOND, b"".join(parts))


def encode_attributes(attributes: Attributes) -> bytes:
    """Attributes of a span, each with the tag and length of a field of ``Span``."""
    parts = []
    for key, value in attributes.items():
        # Only exact types are cached: to a cache True, 1 and 1.0 are the same key.
        if (type(value) is str or type(value) is int) and key not in _UNIQUE:
            parts.append(_remembered(key, value))
        else:
            parts.append(delimited(_ATTRIBUTES, key_value(key, value)))
    return b"".join(parts)


def encode_by_template(
    template: bytes,
    *,
    trace_id: str,
    span_id: str,
    parent_span_id: str,
    start_ns: int,
    end_ns: int,
    more: bytes,
) -> bytes:
    """What :func:`encode_span` returns of a span without tracestate, links and error.

    ``template`` is its :func:`template_of`; ``more`` are encoded attributes behind those of the template.
    """
    parent = f"{_PARENT_SPAN_ID}{parent_span_id}" if parent_span_id else ""
    body = b"%b%b%b%b" % (
        bytes.fromhex(f"{_TRACE_ID}{trace_id}{_SPAN_ID}{span_id}{parent}"),
        _TIMES(_START, start_ns, _END, end_ns),
        template,
        more,
    )
    size = len(body)
    return (_SPAN_HEADS[size] if size < len(_SPAN_HEADS) else _SECOND + varint(size)) + body


def template_of(name: str, attributes: Attributes, *, kind: int, parent_is_remote: bool) -> bytes:
    """What spans without an error have in common, if these are their first attributes."""
    return (
        _constants(kind, parent_is_remote) + _text_field(_NAME, name) + _status(0, "") + encode_attributes(attributes)
    )


def request_id_attribute(value: str) -> bytes:
    """The attribute with the id of a request, as :func:`encode_attributes` returns it."""
    encoded = text(value)
    if len(encoded) < len(_REQUEST_ID_HEADS):
        return _REQUEST_ID_HEADS[len(encoded)] + encoded
    return delimited(_ATTRIBUTES, key_value(semantic_conventions.JSONRPC_REQUEST_ID, value))


def key_value(key: str, value: AttributeValue) -> bytes:
    """A ``KeyValue`` message."""
    return delimited(_KEY, text(key)) + delimited(_VALUE, any_value(value))


def any_value(value: AttributeValue) -> bytes:
    """An ``AnyValue`` message.

    A number beyond 64 bits, which OTLP cannot hold, is written as decimal text.
    """
    if isinstance(value, str):
        return delimited(_STRING, text(value))
    if isinstance(value, bool):  # before int, since a bool is an int, too
        return _BOOL + varint(value)
    if isinstance(value, int):
        return _INT + int64(value) if _INT64_MIN <= value <= _INT64_MAX else delimited(_STRING, text(str(value)))
    if isinstance(value, float):
        return _DOUBLE + double(value)
    return delimited(_ARRAY, b"".join(delimited(_VALUES, any_value(item)) for item in value))


@lru_cache(_REMEMBERED)
def _remembered(key: str, value: str | int) -> bytes:
    return delimited(_ATTRIBUTES, key_value(key, value))


@lru_cache
def _constants(kind: int, parent_is_remote: bool) -> bytes:
    return _KIND + varint(kind) + _FLAGS + (_REMOTE if parent_is_remote else _LOCAL)


@lru_cache(_REMEMBERED)
def _text_field(field_tag: bytes, value: str) -> bytes:
    return _optional(field_tag, value)


def _optional(field_tag: bytes, value: str) -> bytes:
    """A text field, which proto3 omits when it is empty."""
    return delimited(field_tag, text(value)) if value else b""


@lru_cache(_REMEMBERED)
def _status(status: int, description: str) -> bytes:
    message = _optional(_MESSAGE, description)
    return delimited(_STATUS, message + (_CODE + varint(status) if status else b""))


def _link(trace_id: str, span_id: str) -> bytes:
    """A link to a remote context."""
    ids = bytes.fromhex(f"{_TRACE_ID}{trace_id}{_SPAN_ID}{span_id}")
    return delimited(_LINKS, ids + _LINK_FLAGS + _REMOTE)


#: Tag and length of spans of usual sizes.
_SPAN_HEADS: Final = tuple(_SECOND + varint(size) for size in range(2048))
#: The attribute with a request's id, by the length of that, without it.
_REQUEST_ID_HEADS: Final = tuple(
    delimited(_ATTRIBUTES, key_value(semantic_conventions.JSONRPC_REQUEST_ID, "0" * size)).removesuffix(b"0" * size)
    for size in range(64)
)
