"""Policies with masks for tests of gateways."""

import json
from typing import Any, Literal

from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.masks import MaskConfig

CARD = "4111 1111 1111 1111"
CARDS = {"kind": "CardNumber"}


def mask_config(*detect: dict[str, Any], **members: Any) -> MaskConfig:
    """The document of a mask of results and arguments, which masks card numbers if nothing is said."""
    document = {"name": "cards", "directions": ["Results", "Arguments"], "detect": detect or [CARDS], "action": "Mask"}
    return MaskConfig.model_validate_json(json.dumps({**document, **members}))


def mask_policy(*masks: MaskConfig, mode: Literal["Shadow"] | None = None, **members: Any) -> PolicyDocument:
    """A policy with these masks, or with one of card numbers."""
    fixed: dict[str, Any] = {"namespace": "default", "uid": "uid-masks", "generation": 1, "tier": "owner"}
    return PolicyDocument(name="masks", mode=mode, masks=list(masks) or [mask_config()], **fixed, **members)
