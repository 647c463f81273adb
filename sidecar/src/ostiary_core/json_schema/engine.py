"""The library that validates, with options under which it fetches nothing.

jsonschema-rs holds the GIL while it compiles and while it validates, and it has no budget of its own: what it is given
is priced before (:mod:`.price`). Its patterns are linear in time.

2020-12 is the default dialect (MCP, Tools); 2019-09 and draft-07 are used where a schema declares them. A schema of
another dialect is not checked, since its keywords mean other things.
"""

from collections.abc import Mapping
from typing import Any, Final

import jsonschema_rs

from ostiary_core.json_schema.faults import UncheckableSchemaError

#: The memory of one compiled pattern, in bytes, as the engine counts it.
_PATTERN_BYTES: Final = 32 * 1024
_OF_HOST: Final = "json-schema.org/"
_DIALECTS: Final[Mapping[str, type[jsonschema_rs.Validator]]] = {
    "draft/2020-12/schema": jsonschema_rs.Draft202012Validator,
    "draft/2019-09/schema": jsonschema_rs.Draft201909Validator,
    "draft-07/schema": jsonschema_rs.Draft7Validator,
}


def _pattern_options() -> jsonschema_rs.RegexOptions:
    """Return the options with which patterns are compiled: linear in time, bounded in memory."""
    return jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES)


def compile_schema(
    schema: Any, dialect: type[jsonschema_rs.Validator] = jsonschema_rs.Draft202012Validator
) -> jsonschema_rs.Validator:
    """Compile a schema that refers to nothing outside of it; formats are not asserted.

    Raises:
        ValueError: it is no schema of its dialect.
    """
    return dialect(schema, offline=True, pattern_options=_pattern_options(), validate_formats=False)


def dialect_of(schema: Mapping[str, Any]) -> type[jsonschema_rs.Validator]:
    """Return the validator of a schema's dialect.

    Raises:
        UncheckableSchemaError: it declares one that is not used.
    """
    if "$schema" not in schema:
        return jsonschema_rs.Draft202012Validator
    declared = schema["$schema"]
    found = _DIALECTS.get(_name(declared)) if isinstance(declared, str) else None
    if found is None:
        raise UncheckableSchemaError("declares a dialect other than 2020-12, 2019-09 and draft-07")
    return found


def without_dialect(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema without its ``$schema``, whose spelling the engine need not know."""
    return {key: value for key, value in schema.items() if key != "$schema"}


def _name(declared: str) -> str:
    return declared.removesuffix("#").removeprefix("https://").removeprefix("http://").removeprefix(_OF_HOST)
