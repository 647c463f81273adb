"""Tokens in arguments: they become the values again for the tools that may have them.

The agent passes a card on without having seen it. A token opens for the principal that got it, at the same proxy, and
under the mask that made it; any other text that looks like one stays as it is. One that was made in a URI opens in this
URI alone: the item can still be read, and its value cannot be sent anywhere else.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

import re2

from ostiary_core.content.finding import ContentFinding
from ostiary_core.content.masks.compiled_mask import CompiledMask
from ostiary_core.contract.content import Direction
from ostiary_core.contract.masks import MaskAction
from ostiary_core.policy.name_matcher import re2_options

#: What hashes and tokens begin with.
HASH_PREFIX: Final = "hs1"
TOKEN_PREFIX: Final = "tk1"  # noqa: S105  the beginning of tokens, not one
#: The characters of the longest token; longer values are masked instead.
LONGEST_TOKEN: Final = 8192
#: The characters of the longest value that becomes a token, in the worst case of four bytes each.
LONGEST_VALUE: Final = 1024
_TOKEN: Final = re2.compile(rf"{TOKEN_PREFIX}[a-z2-7]{{34,}}", re2_options(memory=1 << 20))
#: Tokens that are opened in one value.
_MOST: Final = 256


class MaskKeys(Protocol):
    """Makes hashes and tokens with keys that only gateways have, for one caller of one proxy.

    ``label`` is the mask that asks, as NAMESPACE/POLICY/MASK.
    """

    def hash(self, text: str, label: str) -> str:
        """Return the same text for the same value; nothing can be learnt from it without the key."""

    def token(self, text: str, label: str) -> str:
        """Return a text that :meth:`opened` turns into the value again."""

    def opened(self, token: str, label: str) -> str | None:
        """Return the value of a token; None where it is not one of this caller, proxy and mask."""


def label_of(mask: CompiledMask) -> str:
    """Return the name of a mask that its hashes and tokens are bound to."""
    return f"{mask.scope.policy}/{mask.scope.rule}"


def label_in_uri(mask: CompiledMask, uri: str) -> str:
    """Return what a mask's tokens in a URI are bound to: the rest of it.

    ``uri`` is without the values, or with tokens in their place.
    """
    return f"{label_of(mask)} in {_TOKEN.sub('', uri)}"


class Restoration:
    """Turns the tokens in the arguments of one call into values.

    ``masks`` are all that apply to the tool, of which those count that restore there: all of them where ``tool`` is
    None, for URIs. ``findings`` say afterwards how many tokens of each became values.
    """

    def __init__(self, masks: Iterable[CompiledMask], tool: str | None, keys: MaskKeys | None) -> None:
        self._keys = keys
        self._masks = [
            mask for mask in masks
            if mask.action is MaskAction.TOKENISE and not mask.scope.is_shadow
            and (tool is None or mask.restores(tool))
        ]  # fmt: skip
        self._counts: dict[str, tuple[CompiledMask, int]] = {}
        self._left = _MOST

    @property
    def findings(self) -> tuple[ContentFinding, ...]:
        """What was restored."""
        return tuple(
            ContentFinding(mask.scope.policy, mask.scope.rule, "Token", "Restore", Direction.ARGUMENTS, count)
            for mask, count in self._counts.values()
        )

    def restored(self, value: Any) -> Any:
        """Return a copy of a JSON value with values for tokens; the same object without any."""
        kind = type(value)
        if not self._masks or self._keys is None:
            return value
        if kind is str:
            return self.restored_uri(self._text(value, label_of)) if TOKEN_PREFIX in value else value
        if kind is list:
            items = [self.restored(each) for each in value]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        if kind is dict:
            members = {key: self.restored(each) for key, each in value.items()}
            return members if any(members[key] is not value[key] for key in value) else value
        return value

    def restored_uri(self, uri: str) -> str:
        """Return a URI with values for its own tokens; the same object without any."""
        if not self._masks or self._keys is None or TOKEN_PREFIX not in uri:
            return uri
        return self._text(uri, lambda mask: label_in_uri(mask, uri))

    def _text(self, text: str, label: Callable[[CompiledMask], str]) -> str:
        pieces: list[str] = []
        last = 0
        for match in _TOKEN.finditer(text):
            found = self._opened(match.group(), label)
            if found is not None:
                pieces += [text[last : match.start()], found]
                last = match.end()
        return "".join((*pieces, text[last:])) if pieces else text

    def _opened(self, token: str, labelled: Callable[[CompiledMask], str]) -> str | None:
        for mask in self._masks:
            if self._left <= 0 or self._keys is None:
                return None
            self._left -= 1
            found = self._keys.opened(token, labelled(mask))
            if found is not None:
                label = label_of(mask)
                self._counts[label] = (mask, self._counts.get(label, (mask, 0))[1] + 1)
                return found
        return None
