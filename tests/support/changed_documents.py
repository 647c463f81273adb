"""Documents that are almost right: valid ones, with some values moved, gone, or strange."""

import json
from typing import Any

from hypothesis import strategies as st
from messages import plain

_STRANGE: list[Any] = [-1, 0, 2**64, 10**30, 10**400, 1.5, "", "\x00", "ü", "x" * 5000, [], {}, None, True]
_STRANGE += ["(", "a)(?:b", "\\Q", "[[:x:]]", "*", "a*b*c" * 50, "10.0.0.0/99"]
_STRANGE += ["http://", "http://[::1", "ftp://h/", "https://h:99999/", "nohost", "http://h /", "http://h/\r\nX: y"]


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """A document with some of its values, at any depth, put in the place of others, gone, or strange."""
    copy = json.loads(json.dumps(document))
    for _ in range(draw(st.sampled_from([0, 1, 1, 2]))):
        at = copy
        while True:
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(at[key], dict | list) and draw(st.booleans()):
                at = at[key]
                continue
            if isinstance(at, dict) and not draw(st.integers(0, 4)):
                del at[key]
            else:
                at[key] = draw(st.sampled_from(_STRANGE) | plain)
            break
    return copy
