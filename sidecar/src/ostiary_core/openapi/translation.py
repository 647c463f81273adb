"""A whole document as operations of the contract, and what was left out, with the reason.

It is a pure function: the same document gives the same operations, in the order of the document.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from ostiary_core.contract.openapi import (
    LONGEST_OMISSION,
    MOST_OMISSIONS,
    MOST_OPERATIONS,
    OpenApiConfig,
    OpenApiOperationConfig,
)
from ostiary_core.errors import OpenApiError
from ostiary_core.json_schema.engine import compile_schema
from ostiary_core.openapi.document import OpenApiDocument, shown
from ostiary_core.openapi.operations import Operation, Written, operations_of, read_operation
from ostiary_core.openapi.parameters import ReservedNames
from ostiary_core.openapi.schema_cost import EvaluationBounds
from ostiary_core.openapi.schema_keywords import LONGEST_TEXT, is_text
from ostiary_core.openapi.schemas import Schemas, closure_of

#: Bytes of one tool with its definitions, and of all tools of a document as a list.
LARGEST_TOOL: Final = 128 * 1024
LARGEST_LIST: Final = 2 * 1024 * 1024
_INPUT: Final = "of the arguments of "


@dataclass(frozen=True, slots=True)
class TranslatedDocument:
    """The operations of a document, and what was left out, as sentences."""

    config: OpenApiConfig
    omissions: tuple[str, ...]


def translate(root: Any, *, headers: Iterable[str] = (), queries: Iterable[str] = ()) -> TranslatedDocument:
    """Translate a parsed document.

    No argument sets one of ``headers`` and ``queries``, which the gateway sets itself.

    Raises:
        OpenApiError: it is no document that can be used.
    """
    document = OpenApiDocument(root)
    return _Translator(document, ReservedNames.of(document, headers, queries)).translation()


class _Translator:
    def __init__(self, document: OpenApiDocument, reserved: ReservedNames) -> None:
        self._document = document
        self._reserved = reserved
        self._omissions: dict[str, None] = {}
        self._schemas = Schemas(document, self._leave_out)
        self._texts: dict[str, str] = {}

    def translation(self) -> TranslatedDocument:
        found = self._judged(self._unambiguous(self._operations()))
        info = self._document.root["info"]
        omissions = _first(list(self._omissions))
        needed = sorted({name for each in found for name in each.definitions or ()})
        config = OpenApiConfig(
            title=_short(info["title"]),
            version=_short(info["version"]),
            instructions=_instructions(info.get("description")),
            definitions={name: self._text(name) for name in needed} or None,
            operations=found,
            omissions=omissions or None,
        )
        return TranslatedDocument(config, tuple(omissions))

    def _text(self, name: str) -> str:
        """Return a definition as JSON."""
        if name not in self._texts:
            self._texts[name] = _text_of(self._schemas.definitions[name].schema)
        return self._texts[name]

    def _refuse_faults(self, operation: Operation, needed: list[str]) -> None:
        behind = (fault for name in needed for fault in self._schemas.definitions[name].faults)
        for fault in (*operation.input.faults, *behind):
            raise OpenApiError(f"cannot be expressed: {fault}")

    def _leave_out(self, message: str) -> None:
        self._omissions[message] = None

    def _operations(self) -> list[tuple[Written, Operation]]:
        found = []
        for number, written in enumerate(operations_of(self._document), start=1):
            if number > MOST_OPERATIONS:
                raise OpenApiError(f"has more than {MOST_OPERATIONS} operations; leave out what agents do not need")
            if isinstance(written, str):
                self._leave_out(written)
                continue
            try:
                operation = read_operation(written, self._document, self._schemas, self._reserved)
            except OpenApiError as error:
                self._leave_out(f"{written.title} {error}")
                continue
            found.append((written, operation))
        return found

    def _unambiguous(self, given: list[tuple[Written, Operation]]) -> list[tuple[Written, Operation]]:
        """Return the operations whose names are their own.

        Which one a name means must not depend on the order.
        """
        uses = Counter(operation.name for _, operation in given)
        found = []
        for written, operation in given:
            if uses[operation.name] > 1:
                self._leave_out(f"{written.title} has the name {operation.name}, which another operation has, too")
            else:
                found.append((written, operation))
        return found

    def _judged(self, given: list[tuple[Written, Operation]]) -> list[OpenApiOperationConfig]:
        definitions = {name: each.schema for name, each in self._schemas.definitions.items()}
        inputs = {_INPUT + operation.name: operation.input.schema for _, operation in given}
        bounds = EvaluationBounds(definitions | inputs)
        found, size = [], 0
        for written, operation in given:
            try:
                config, takes = self._config(operation, bounds, left=LARGEST_LIST - size)
            except OpenApiError as error:
                self._leave_out(f"{written.title} {error}")
                continue
            size += takes
            found.append(config)
            for omission in operation.omissions:
                self._leave_out(f"{written.title}: {omission}")
        return found

    def _config(
        self, operation: Operation, bounds: EvaluationBounds, *, left: int
    ) -> tuple[OpenApiOperationConfig, int]:
        """Return an operation of the contract, and the bytes that its tool takes in a list."""
        needed = self._schemas.needed_by(operation.input)
        self._refuse_faults(operation, needed)
        evaluations = bounds.of(_INPUT + operation.name)
        if evaluations is None:
            raise OpenApiError("has a schema that could be evaluated without end or too often for one value")
        text = _text_of(operation.tool())
        takes = len(text) + sum(len(name) + len(self._text(name)) for name in needed)
        if takes > LARGEST_TOOL:
            raise OpenApiError(f"has schemas of {takes} bytes, and may have {LARGEST_TOOL}")
        if takes > left:
            raise OpenApiError(f"is left out, since the tools before it take {LARGEST_LIST} bytes")
        _compile({**_mapping(operation.input.schema), "$defs": closure_of(needed, self._schemas.definitions)})
        config = OpenApiOperationConfig(
            name=operation.name,
            tool=text,
            definitions=needed or None,
            evaluations=evaluations,
            method=operation.method,
            path=operation.path,
            parameters=list(operation.parameters) or None,
            body=operation.body,
            answers_html=True if operation.answers_html else None,
        )
        return config, takes


def _compile(schema: Any) -> None:
    try:
        compile_schema(schema)
    except ValueError as error:
        raise OpenApiError(f"has a schema that is not valid: {shown(str(error).partition(chr(10))[0])}") from None


def _mapping(schema: Any) -> dict[str, Any]:
    return schema if isinstance(schema, dict) else {}


def _text_of(value: Any) -> str:
    return orjson.dumps(value).decode()


def _short(text: str) -> str:
    return shown(text) if is_text(text) else ""


def _instructions(description: Any) -> str | None:
    return description[:LONGEST_TEXT] if is_text(description) and description else None


def _first(omissions: list[str]) -> list[str]:
    """Return the omissions that are named; of further ones only the number is told."""
    more = len(omissions) - (MOST_OMISSIONS - 1)
    named = [each[:LONGEST_OMISSION] for each in omissions[: MOST_OMISSIONS - 1]]
    return named if more <= 0 else [*named, f"and {more} more"]
