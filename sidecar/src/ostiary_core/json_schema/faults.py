"""Why a schema, or a value, is not checked."""

from ostiary_core.errors import OstiaryError


class UncheckableSchemaError(OstiaryError):
    """A schema that is not used: it is none, too costly, or of another dialect.

    The message continues a sentence that begins with the schema, and holds nothing of it.
    """
