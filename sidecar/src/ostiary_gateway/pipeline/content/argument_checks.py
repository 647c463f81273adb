"""Validates arguments against what a server says that its tool or prompt takes.

What travels is judged: after transformations, with tokens restored. What the gateway has learned of a tool may be old,
so its definition is asked for again, once, before a call is refused by it. A refusal says what is wrong in words that a
model can act on: where, what is expected, and the nearest known name, but never the value.
"""

from collections.abc import Mapping
from typing import Any, Final

from ostiary_core.content.validations.compiled_validation import ValidationChecks
from ostiary_core.contract.content import Direction
from ostiary_core.json_schema.compiled_schema import SchemaVerdict
from ostiary_core.json_schema.schema_check import CheckedValue
from ostiary_core.json_schema.wording import MOST_FAULTS, pointer, unknown_names
from ostiary_core.mcp import codes
from ostiary_core.mcp.methods import Method
from ostiary_gateway.pipeline.content.content_refusal import ContentReason, content_refused
from ostiary_gateway.pipeline.content.destinations import recipients
from ostiary_gateway.pipeline.content.request_content import RequestContent
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.lists.caller_context import presented
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.tool_definitions.definition_store import (
    DEFINITIONS,
    PROMPTS_LIST,
    TOOLS_LIST,
    KnownDefinition,
)
from ostiary_gateway.pipeline.tool_definitions.schema_checks import SCHEMA_CHECKS
from ostiary_gateway.upstream.server import UpstreamServer

#: The list that describes what a method is about.
_LISTS: Final[Mapping[str, Method]] = {"tools/call": TOOLS_LIST, "prompts/get": PROMPTS_LIST}
_INVALID: Final = (
    "The arguments do not match what this {} takes, so the request was not sent. {}. Correct the arguments, then send "
    "it again."
)
_UNCHECKABLE: Final = (
    "The arguments cannot be checked against what this {} takes, and are not sent unchecked here. Send fewer or "
    "shorter values; if that does not help, use another {}."
)
_NOUNS: Final = {"tools/call": "tool", "prompts/get": "prompt"}
_UNKNOWN: Final = CheckedValue(SchemaVerdict.UNCHECKABLE, None)


async def check_arguments(exchange: Exchange, content: RequestContent) -> Any:
    """Validate the arguments that travel.

    Return others in their place, in which texts became integers; None where nothing changes.

    Raises:
        Refusal: they do not match, or cannot be checked where that is demanded.
    """
    message, rules = exchange.message, content.rules
    method = _LISTS.get(message.method_name) if message is not None else None
    if message is None or rules is None or method is None:
        return None
    sent = arguments = content.arguments(message)
    checks = rules.kept(ValidationChecks)
    if checks.needs_arguments or (checks.needs_results and method is TOOLS_LIST):
        check = _ArgumentChecks(exchange, content, message, method, checks)
        for server, name in recipients(exchange):
            if not check.match(server, name, arguments):
                arguments = await check.checked(server, name, arguments)
    return arguments if arguments is not sent else None


class _ArgumentChecks:
    """Checks the arguments of one request for each server that may get it."""

    def __init__(
        self, exchange: Exchange, content: RequestContent, message: Message, method: Method, checks: ValidationChecks
    ) -> None:
        self._exchange = exchange
        self._content = content
        self._message = message
        self._method = method
        self._checks = checks

    def match(self, server: UpstreamServer, name: str, arguments: Any) -> bool:
        """Return whether the arguments match a definition that is known: the usual case.

        Then nothing is awaited, and nothing more is to be done.
        """
        if self._checks.shadow_unknown:
            return False
        context = presented(self._exchange, server)
        known = DEFINITIONS.find(server, context, self._method.name, name)
        check = SCHEMA_CHECKS.known(known.input_schema) if known is not None and known.input_schema else None
        if known is None or check is None or self._method is PROMPTS_LIST:
            return False
        self._content.definitions[server] = known
        return not self._checks.needs_arguments or check.matches(
            arguments, refuses_unknown=self._checks.refuses_unknown
        )

    async def checked(self, server: UpstreamServer, name: str, arguments: Any) -> Any:
        """Return the arguments as they may travel to a server.

        Raises:
            Refusal: they may not.
        """
        known = await self._known(server, name)
        if not self._checks.needs_arguments:
            return arguments
        found = await self._check(server, known, arguments)
        if self._is_refused(found):
            fresh = await self._known(server, name, is_fresh=True)
            if fresh is not known:
                known, found = fresh, await self._check(server, fresh, arguments)
        if found.verdict is SchemaVerdict.VALID:
            await self._count_shadows(server, known, arguments)
            return self._coerced(found.value, arguments)
        self._note_or_refuse(found)
        return arguments

    async def _known(self, server: UpstreamServer, name: str, *, is_fresh: bool = False) -> KnownDefinition | None:
        fetch = self._content.fetch
        if fetch is None:
            return None
        find = fetch.fresh if is_fresh else fetch.known
        known = await find(self._exchange, server, self._method, name)
        if known is not None:
            self._content.definitions[server] = known
        return known

    async def _check(
        self, server: UpstreamServer, known: KnownDefinition | None, arguments: Any, *, refuses_unknown: bool = False
    ) -> CheckedValue:
        refuses_unknown = refuses_unknown or self._checks.refuses_unknown
        if known is None:
            return _UNKNOWN
        if self._method is PROMPTS_LIST:
            return _checked_prompt(arguments, known.arguments, refuses_unknown=refuses_unknown)
        if known.input_schema is None:
            return CheckedValue(SchemaVerdict.VALID, arguments)
        check = await SCHEMA_CHECKS.check_of(server, known.input_schema)
        if check is None:
            return _UNKNOWN
        return check.check(arguments, refuses_unknown=refuses_unknown, coerces=self._checks.coerces)

    async def _count_shadows(self, server: UpstreamServer, known: KnownDefinition | None, arguments: Any) -> None:
        """Count what policies in Shadow mode would have refused, though no policy in force does."""
        if self._checks.shadow_unknown and not self._checks.refuses_unknown:
            found = await self._check(server, known, arguments, refuses_unknown=True)
            if found.verdict is SchemaVerdict.INVALID:
                self._exchange.note_findings(self._checks.shadow_unknown)

    def _coerced(self, value: Any, arguments: Any) -> Any:
        if value is not arguments:
            self._exchange.note_findings(self._checks.coercions())
        return value

    def _is_refused(self, found: CheckedValue) -> bool:
        if found.verdict is SchemaVerdict.UNCHECKABLE:
            return self._checks.refuses_unchecked(Direction.ARGUMENTS)
        is_invalid = found.verdict is SchemaVerdict.INVALID
        return is_invalid and (self._checks.refuses(Direction.ARGUMENTS) or found.has_unknown)

    def _note_or_refuse(self, found: CheckedValue) -> None:
        checks, message = self._checks, self._message
        noun = _NOUNS[message.method_name]
        if found.verdict is SchemaVerdict.UNCHECKABLE:
            self._exchange.note_findings(checks.uncheckable(Direction.ARGUMENTS))
            if self._is_refused(found):
                words = _UNCHECKABLE.format(noun, noun)
                raise content_refused(message, ContentReason.UNCHECKABLE, words, code=codes.INVALID_PARAMS)
            return
        self._exchange.note_findings(checks.findings(Direction.ARGUMENTS, has_unknown=found.has_unknown))
        if self._is_refused(found):
            words = _INVALID.format(noun, "; ".join(found.faults))
            raise content_refused(message, ContentReason.ARGUMENTS_INVALID, words, code=codes.INVALID_PARAMS)


def _checked_prompt(arguments: Any, declared: Mapping[str, bool], *, refuses_unknown: bool) -> CheckedValue:
    """Check the arguments of a prompt, which are texts (specification, Prompts)."""
    if not isinstance(arguments, dict):
        return CheckedValue(SchemaVerdict.INVALID, arguments, (f"{pointer(())}: expected object",))
    faults = [
        f"{pointer((name,))}: is missing, and required"
        for name, is_required in declared.items()
        if is_required and name not in arguments
    ]
    faults += [
        f"{pointer((name,))}: expected string" for name, value in arguments.items() if not isinstance(value, str)
    ]
    unknown = list(unknown_names(arguments, list(declared), most=MOST_FAULTS)) if refuses_unknown else []
    faults += unknown
    verdict = SchemaVerdict.INVALID if faults else SchemaVerdict.VALID
    return CheckedValue(verdict, arguments, tuple(faults[:MOST_FAULTS]), bool(unknown))
