"""How arguments and results are validated against the schemas that servers publish."""

import enum
from typing import Literal

from ostiary_core.contract.content import SelectedContentConfig


class ValidationMode(enum.StrEnum):
    """What happens to what does not fit a schema.

    Of several policies, the last of these wins.
    """

    OFF = "Off"
    WARN = "Warn"
    ENFORCE = "Enforce"


class ValidationConfig(SelectedContentConfig):
    """The validation that a policy demands.

    Of several policies, the strictest value of each member counts. An absent member demands nothing: None is Off for
    ``arguments`` and ``results``, AsSchema for ``unknown_arguments``, Pass for ``when_uncheckable``. ``coerce`` None is
    Off too, unless another policy that applies says Lossless and none says Off.
    """

    arguments: ValidationMode | None = None
    results: ValidationMode | None = None
    unknown_arguments: Literal["AsSchema", "Refuse"] | None = None
    coerce: Literal["Off", "Lossless"] | None = None
    when_uncheckable: Literal["Pass", "Refuse"] | None = None
