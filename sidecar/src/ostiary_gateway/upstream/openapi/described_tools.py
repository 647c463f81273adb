"""The tools of an OpenAPI document, compiled for calls.

They are a list as JSON, checks of arguments, and builders of requests.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.contract.openapi import OpenApiConfig, OpenApiOperationConfig
from ostiary_core.openapi.arguments import ArgumentCheck
from ostiary_core.openapi.request_parts import RequestBuilder

#: Checks of arguments that are kept compiled, of one server.
_MOST_CHECKS: Final = 64


class DescribedTool:
    """One operation. ``method`` is that of its requests, ``path`` the template for messages."""

    __slots__ = ("answers_html", "builder", "evaluations", "method", "name", "path", "schema")

    def __init__(self, operation: OpenApiOperationConfig, schema: dict[str, Any], base: str) -> None:
        self.name = operation.name
        self.method = operation.method
        self.path = operation.path
        self.answers_html = operation.answers_html is True
        self.schema = schema
        self.evaluations = operation.evaluations
        self.builder = RequestBuilder(operation, base)


class DescribedTools:
    """All tools of a document.

    ``base`` is the path of the server's URL, without a slash at its end.

    Raises:
        ValueError: a tool of the document is no JSON, or its schema cannot be compiled.
    """

    def __init__(self, document: OpenApiConfig, base: str) -> None:
        definitions = {name: strict_json.loads(text.encode()) for name, text in (document.definitions or {}).items()}
        pairs = list(_tools(document, definitions, base))
        self._tools = {tool.name: tool for tool, _ in pairs}
        self._checks: OrderedDict[str, ArgumentCheck] = OrderedDict()
        #: The list of all tools as JSON.
        self.listed = strict_json.dumps([listed for _, listed in pairs])
        #: Names and hints of all tools.
        self.hints = [{"name": listed.get("name"), "annotations": listed.get("annotations")} for _, listed in pairs]

    def get(self, name: Any) -> DescribedTool | None:
        """Return a tool; None if there is none of this name."""
        return self._tools.get(name) if isinstance(name, str) else None

    def fault(self, tool: DescribedTool, arguments: Any, text: bytes) -> str | None:
        """Return what is wrong with the arguments of a call, as words for a model.

        None if nothing is. ``text`` is JSON that contains them.
        """
        check = self._checks.get(tool.name)
        if check is None:
            check = self._checks[tool.name] = ArgumentCheck(tool.schema, evaluations=tool.evaluations)
            if len(self._checks) > _MOST_CHECKS:
                self._checks.popitem(last=False)
        else:
            self._checks.move_to_end(tool.name)
        return check.fault(arguments, text)


def _tools(
    document: OpenApiConfig, definitions: Mapping[str, Any], base: str
) -> Iterator[tuple[DescribedTool, dict[str, Any]]]:
    for operation in document.operations:
        listed = strict_json.loads(operation.tool.encode())
        if operation.definitions:
            listed["inputSchema"]["$defs"] = {name: definitions[name] for name in operation.definitions}
        yield DescribedTool(operation, listed["inputSchema"], base), listed
