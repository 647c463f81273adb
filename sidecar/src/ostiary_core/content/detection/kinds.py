"""The detectors of the kinds that a mask can name (`detect: [{kind: CardNumber}]`)."""

from typing import Final

from ostiary_core.content.detection.card_numbers import CARD_NUMBER
from ostiary_core.content.detection.detector import Detector
from ostiary_core.contract.masks import DetectedKind

DETECTORS: Final[dict[DetectedKind, Detector]] = {DetectedKind.CARD_NUMBER: CARD_NUMBER}
