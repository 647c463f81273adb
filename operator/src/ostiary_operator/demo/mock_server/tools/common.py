"""Annotations, categories (`_meta`) and error handling of the tools."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from ostiary_operator.demo.mock_server.sample_store import StoreError

READ = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
"""Changes nothing."""

CREATE = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)
"""Adds something with each call."""

DELETE = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
"""Deletes something; a repeated call changes nothing."""

CATEGORY_KEY = "ostiary.dev/category"
"""The key of the category in a tool's `_meta`."""

Limit = Annotated[int, Field(ge=1, le=100, description="At most how many to return.")]
Offset = Annotated[int, Field(ge=0, le=10_000, description="How many to skip first.")]
UserId = Annotated[int, Field(ge=1, description="The user's id, as get_users lists it.")]


def category(name: str) -> dict[str, Any]:
    """The `_meta` of a tool in this category."""
    return {CATEGORY_KEY: name}


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn errors of the store into tool errors (`isError`), which the model can read."""
    try:
        yield
    except StoreError as error:
        raise ToolError(str(error)) from error
