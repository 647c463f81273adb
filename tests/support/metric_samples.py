"""Reads a gateway's metrics as a scrape would."""

from gateways import RunningGateway
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families


def counted(gateway: RunningGateway, name: str, **labels: str) -> float:
    """The sum of the samples of a family that have these labels."""
    gateway.app.ended.settle()
    text = generate_latest(gateway.app.metrics.registry).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())
