"""Requests are counted many at once, and each as if it were alone."""

from typing import cast

import pytest
from ended_calls import ended_call

from ostiary_gateway.evidence.ended_requests import PlainEnded
from ostiary_gateway.metrics.request_metrics import RequestMetrics


def counted(metrics: RequestMetrics, name: str) -> float:
    """Return the sum of a counter."""
    family = next(family for family in metrics.collect() if family.name == name)
    return sum(sample.value for sample in family.samples)


def ended(*, seconds: float = 0.004, error_type: str = "") -> PlainEnded:
    return "uid", 10, 20, "", ended_call(seconds=seconds, error_type=error_type)


def test_a_request_that_cannot_be_counted_costs_none_with_other_labels_in_its_batch(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics = RequestMetrics()
    broken = ended(seconds=cast("float", "no number"), error_type="timeout")
    metrics.take([ended(), broken, ended(), ended(error_type="502")])
    assert counted(metrics, "ostiary_http_responses") == 3
    assert caplog.messages == ["requests could not be counted: this is a bug"]
