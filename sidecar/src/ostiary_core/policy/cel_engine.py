"""The CEL engine with Ostiary's variables.

This is the only module that imports the engine. :mod:`.expressions` imports it when the first expression is compiled or
evaluated, since the import takes longer than most commands.
"""

from collections.abc import Mapping
from typing import Any, Final

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings

from ostiary_core.policy.expressions import MESSAGE_VARIABLES, PRINCIPAL_VARIABLES, RESULT_VARIABLES

_T: Final = cel.Type
BOOL: Final = _T.BOOL
NUMBERS: Final = (_T.INT, _T.UINT, _T.DOUBLE, _T.DYN)
"""The types that a number may have; what JSON holds is known only when it is evaluated."""
TEXTS: Final = (_T.STRING, _T.DYN)
"""The types that a text may have."""
NOT_JSON: Final = (_T.BYTES, _T.DURATION, _T.TIMESTAMP, _T.TYPE)
"""Types of values that JSON does not have."""
FAILURE: Final = _T.ERROR
"""The type of the value of an evaluation that failed: its text is no text of the expression."""
_TYPES: Final = {
    "bool": BOOL,
    "string": _T.STRING,
    "list(string)": _T.List(_T.STRING),
    "map(string, string)": _T.Map(_T.STRING, _T.STRING),
    "map(string, dyn)": _T.Map(_T.STRING, _T.DYN),
}


def _environment(variables: Mapping[str, str]) -> Any:
    types = {name: _TYPES[kind] for name, kind in variables.items()}
    return cel.NewEnv(variables=types, extensions=[ext_strings.ExtStrings(), ext_optional.ExtOptional()])


OF_PRINCIPAL: Final = _environment(PRINCIPAL_VARIABLES)
"""The environment of expressions that read only the principal."""

OF_MESSAGE: Final = _environment({**PRINCIPAL_VARIABLES, **MESSAGE_VARIABLES})
"""The environment of expressions that read a message."""

OF_RESULT: Final = _environment({**PRINCIPAL_VARIABLES, **MESSAGE_VARIABLES, **RESULT_VARIABLES})
"""The environment of expressions that read the result of a message."""
