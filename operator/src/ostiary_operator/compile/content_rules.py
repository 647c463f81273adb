"""Compiles validation, masks, guards and transformations into what gateways read.

Scorers are named here by their URL: a Service by its name in the cluster's DNS, in the namespace of the policy. Which
addresses it may have differs between gateways, so their entries say it (:mod:`.scorers`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from ostiary_core.contract.access import SelectionConfig
from ostiary_core.contract.content import Direction
from ostiary_core.contract.definitions import PinningName
from ostiary_core.contract.guards import GuardConfig, ScorerConfig, SignatureConfig
from ostiary_core.contract.masks import DetectConfig, MaskConfig
from ostiary_core.contract.transforms import TransformConfig
from ostiary_core.contract.validation import ValidationConfig
from ostiary_operator.api.content_rules import ContentSelection, steps_of
from ostiary_operator.api.definitions import Pinning
from ostiary_operator.api.guards import Guard, OwnSignature, Scorer
from ostiary_operator.api.masks import Mask, MaskDetector, MaskedNotifications
from ostiary_operator.api.name_selections import SelectedNames
from ostiary_operator.api.policy import PolicySpec
from ostiary_operator.api.quantities import Size
from ostiary_operator.api.validation import Validation
from ostiary_operator.compile.transforms import transform_config

ItemT = TypeVar("ItemT")
_PINNING: Final[dict[Pinning, PinningName]] = {Pinning.WARN: "Warn", Pinning.BLOCK: "Block"}


@dataclass(frozen=True, slots=True)
class ContentConfigs:
    """The rules of a policy about contents; each member is that of :class:`PolicyDocument`."""

    validation: ValidationConfig | None = None
    masks: tuple[MaskConfig, ...] = ()
    guards: tuple[GuardConfig, ...] = ()
    transforms: tuple[TransformConfig, ...] = ()
    pinning: PinningName | None = None

    @property
    def members(self) -> dict[str, Any]:
        """The members of the document that are present."""
        found = {
            "validation": self.validation,
            "masks": list(self.masks) or None,
            "guards": list(self.guards) or None,
            "transforms": list(self.transforms) or None,
            "pinning": self.pinning,
        }
        return {name: value for name, value in found.items() if value is not None}


def content_configs(spec: PolicySpec, namespace: str) -> ContentConfigs:
    """Return what gateways read of the rules about contents, in the namespace of the policy."""
    return ContentConfigs(
        validation=_validation(spec.validation),
        masks=tuple(map(_mask, spec.masks)),
        guards=tuple(_guard(guard, namespace) for guard in spec.guards),
        transforms=tuple(transform_config(each, selected(each)) for each in spec.transforms),
        pinning=pinning_name(spec.pinning),
    )


def pinning_name(pinning: Pinning | None) -> PinningName | None:
    """Return what gateways read of a pinning; None for Off."""
    return _PINNING.get(pinning) if pinning is not None else None


def selected(rule: ContentSelection) -> dict[str, Any]:
    """Return the members that say where a rule applies."""
    return {
        "tools": _names(rule.tools),
        "resources": _names(rule.resources),
        "prompts": _names(rule.prompts),
        "servers": _list(rule.servers),
    }


def _names(names: SelectedNames | None) -> SelectionConfig | None:
    if names is None:
        return None
    return SelectionConfig(names=_list(names.names), patterns=_list(names.patterns))


def _list(items: Sequence[ItemT] | None) -> list[ItemT] | None:
    return list(items) if items is not None else None


def _validation(validation: Validation | None) -> ValidationConfig | None:
    if validation is None:
        return None
    unknown, coerce, uncheckable = validation.unknown_arguments, validation.coerce, validation.when_uncheckable
    return ValidationConfig(
        **selected(validation),
        arguments=validation.arguments,
        results=validation.results,
        unknown_arguments=unknown.value if unknown is not None else None,
        coerce=coerce.value if coerce is not None else None,
        when_uncheckable=uncheckable.value if uncheckable is not None else None,
    )


def _mask(mask: Mask) -> MaskConfig:
    return MaskConfig(
        **selected(mask),
        name=mask.name,
        directions=sorted(Direction(each.value) for each in mask.directions),
        detect=[_detector(each) for each in mask.detect],
        action=mask.action,
        keep_last=mask.keep_last,
        restore_in=_names(mask.restore_in),
        notifications="Drop" if mask.notifications is MaskedNotifications.DROP else None,
    )


def _detector(detector: MaskDetector) -> DetectConfig:
    field = steps_of(detector.field) if detector.field is not None else None
    return DetectConfig(kind=detector.kind, pattern=detector.pattern, name=detector.name, field=field)


def _guard(guard: Guard, namespace: str) -> GuardConfig:
    return GuardConfig(
        **selected(guard),
        name=guard.name,
        directions=sorted(guard.scan),
        detect=_list(guard.detect),
        sensitivity=guard.sensitivity,
        action=guard.action,
        signatures=[_signature(each) for each in guard.signatures or ()] or None,
        scorer=_scorer(guard.scorer, namespace) if guard.scorer is not None else None,
        truncate_text=int(Size.parse(guard.truncate.text)) if guard.truncate is not None else None,
    )


def _signature(signature: OwnSignature) -> SignatureConfig:
    return SignatureConfig(name=signature.name, pattern=signature.pattern, reason=signature.reason)


def _scorer(scorer: Scorer, namespace: str) -> ScorerConfig:
    return ScorerConfig(
        url=scorer_url(scorer, namespace),
        timeout=scorer.timeout.milliseconds,
        max_bytes=int(Size.parse(scorer.max_bytes)),
        on_failure=scorer.on_failure,
        sends=scorer.sends,
    )


def scorer_url(scorer: Scorer, namespace: str) -> str:
    """Return where texts are posted."""
    service = scorer.service
    if service is None:
        return scorer.url or ""
    return f"http://{service.name}.{namespace}.svc:{service.port}{service.path or '/'}"
