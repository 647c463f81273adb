"""What a SERVER span holds when it ends: as a record, or encoded by a template."""

from collections.abc import Mapping
from typing import Any, Final

from ostiary_core.policy.principal import Principal
from ostiary_gateway.telemetry import context, semantic_conventions, span_record
from ostiary_gateway.telemetry.context import SpanContext
from ostiary_gateway.telemetry.message_attributes import KNOWN_METHODS, message_attributes, own_attributes, span_name
from ostiary_gateway.telemetry.otlp.encoder import encode_attributes, encode_by_template, template_of
from ostiary_gateway.telemetry.span import Span
from ostiary_gateway.telemetry.span_record import AttributeValue, PlainRecord
from ostiary_gateway.telemetry.span_templates import SERVER_SESSION, SpanTemplates, keep, own_bytes

#: Attributes that a span has besides those of its template, at most.
_MOST_OWN: Final = 6


class ServerSpanContent(Span):
    """What was reported of a request, and how the span shows it."""

    __slots__ = (
        "_allowed",
        "_evidence",
        "_http_method",
        "_link",
        "_parent",
        "_principal",
        "_protocol_version",
        "_request_id",
        "_revision",
        "_session_id",
        "_span_id",
        "client_address",
    )

    # The subclass sets these, see :class:`.Span`.
    _http_method: str
    _parent: SpanContext | None
    #: The context in the HTTP headers, where it is not the parent's.
    _link: tuple[tuple[str, str], ...]
    _span_id: str
    #: The attributes of the proxy, and the revision of the config that it is from.
    _evidence: Mapping[str, str] | None
    _revision: int
    _principal: Principal | None
    #: Policy, rule and generation that granted access; None where none was asked, or none was needed.
    _allowed: tuple[str | None, str | None, int | None] | None
    # These are known once there is a message.
    _request_id: str | float | None
    _protocol_version: str | None
    _session_id: str | None
    #: The address that the request came from; "" where it is not known.
    client_address: str

    @property
    def span_id(self) -> str:
        """This span's id, 16 hex digits, made on first use; "" if tracing is off."""
        if not self._span_id and self._recorder.decide is not None:
            self._span_id = context.new_span_id()
        return self._span_id

    def _by_template(self, templates: SpanTemplates, end_ns: int) -> bytes | None:
        if self.method is None or self._link or self.tracestate:
            return None
        if self._revision != templates.revision and not templates.begin(self._revision):
            return None
        parent = self._parent
        key = (self.method, self.target, self._protocol_version, self._allowed, id(self._evidence), parent is None)
        found = templates.server.get(key) or self._new_template(templates, key)
        if found is None:
            return None
        own = own_bytes(self._request_id, self._session_id, SERVER_SESSION, self._recorder.text_limit)
        return encode_by_template(
            found[0],
            trace_id=self.trace_id,
            span_id=self._span_id or self.span_id,
            parent_span_id=parent.span_id if parent is not None else "",
            start_ns=self._start_ns,
            end_ns=end_ns,
            more=self._caller_bytes(templates) + own,
        )

    def _caller_bytes(self, templates: SpanTemplates) -> bytes:
        principal = self._principal
        key = (
            (principal.method, principal.consumer, principal.id, self.client_address)
            if principal is not None
            else (self.client_address,)
        )
        found = templates.callers.get(key)
        if found is None:
            found = keep(templates.callers, key, encode_attributes(self._caller_attributes()))
        return found

    def _new_template(self, templates: SpanTemplates, key: tuple[Any, ...]) -> tuple[bytes, Any] | None:
        attributes = self._common_attributes()
        if self.method not in KNOWN_METHODS or len(attributes) + _MOST_OWN > self._recorder.count_limit:
            return None
        name = span_name(self.method, self.target, None, http_method=self._http_method)
        made = template_of(name, attributes, kind=span_record.SERVER, parent_is_remote=self._parent is not None)
        return keep(templates.server, key, (made, self._evidence))

    def _common_attributes(self) -> dict[str, AttributeValue]:
        """The attributes of all calls of one tool that the same rule allows."""
        found: dict[str, AttributeValue] = {}
        if self.method is not None:
            limit = self._recorder.text_limit
            found = message_attributes(self.method, self.target, self._protocol_version, limit=limit)
        if self._allowed is not None:
            found |= self.access(semantic_conventions.ALLOW, *self._allowed)
        if self._evidence is not None:
            found |= self._evidence
            found[semantic_conventions.OSTIARY_CONFIG_REVISION] = self._revision
        return found

    def access(
        self, decision: str, policy: str | None, rule: str | None, generation: int | None
    ) -> dict[str, AttributeValue]:
        """Return the attributes of a decision on access."""
        found: dict[str, AttributeValue] = {semantic_conventions.OSTIARY_ACCESS_DECISION: decision}
        if policy is not None:
            found[semantic_conventions.OSTIARY_ACCESS_POLICY] = self._cut(policy)
        if rule is not None:
            found[semantic_conventions.OSTIARY_ACCESS_RULE] = self._cut(rule)
        if generation is not None:
            found[semantic_conventions.OSTIARY_ACCESS_GENERATION] = generation
        return found

    def _caller_attributes(self) -> dict[str, AttributeValue]:
        found: dict[str, AttributeValue] = {}
        principal = self._principal
        if principal is not None:
            found[semantic_conventions.OSTIARY_AUTHENTICATION_METHOD] = self._cut(principal.method)
            if principal.consumer:
                found[semantic_conventions.USER_ID] = self._cut(principal.consumer)
            elif principal.authenticated:
                found[semantic_conventions.USER_HASH] = self._cut(principal.id)
        if self.client_address:
            found[semantic_conventions.CLIENT_ADDRESS] = self._cut(self.client_address)
        return found

    def _record(self, attributes: dict[str, AttributeValue], end_ns: int) -> PlainRecord:
        found = self._common_attributes() | self._caller_attributes() | attributes
        if self.method is not None:
            limit = self._recorder.text_limit
            found |= own_attributes(self._request_id, SERVER_SESSION, self._session_id, limit=limit)
        else:
            known_method = self._http_method in semantic_conventions.HTTP_METHODS
            found[semantic_conventions.HTTP_REQUEST_METHOD] = (
                self._http_method if known_method else semantic_conventions.OTHER
            )
        status, dropped = self._outcome(found)
        parent = self._parent
        return (
            self.trace_id,
            self.span_id,
            parent.span_id if parent is not None else "",
            parent is not None,
            self.tracestate,
            span_name(self.method, self.target, self.rpc_code, http_method=self._http_method),
            span_record.SERVER,
            self._start_ns,
            end_ns,
            found,
            status,
            self._description,
            self._link,
            dropped,
        )
