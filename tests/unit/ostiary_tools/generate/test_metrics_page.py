"""The page of metrics is true: what a process exports is on it, and it is up to date."""

from pathlib import Path

from operator_objects import SYSTEM, populated, proxy

import ostiary_gateway.metrics
import ostiary_operator.controller.metrics
from ostiary_gateway.app import GatewayApp
from ostiary_gateway.options import GatewayOptions
from ostiary_gateway.telemetry import Telemetry
from ostiary_operator.clock import SystemClock
from ostiary_operator.controller.app import assemble
from ostiary_operator.kube.options import OperatorOptions
from ostiary_tools.generate import metrics_page
from ostiary_tools.generate.metrics_page import LABELS, OF_THE_PROCESS, families

OF_THE_GATEWAY = {each.name: each for each in (*families(ostiary_gateway.metrics), *OF_THE_PROCESS)}
OF_THE_OPERATOR = {each.name: each for each in (*families(ostiary_operator.controller.metrics), *OF_THE_PROCESS)}
ALL = {**OF_THE_GATEWAY, **OF_THE_OPERATOR}


def test_the_page_is_up_to_date() -> None:
    assert metrics_page.PAGE.read_text() == metrics_page.render(), "run: make generate"


async def test_everything_that_a_gateway_exports_is_declared_and_so_on_the_page(tmp_path: Path) -> None:
    registry = GatewayApp(GatewayOptions(config=tmp_path), Telemetry.disabled()).metrics.registry
    exported = {family.name for family in registry.collect()}
    assert exported - OF_THE_GATEWAY.keys() == set()
    assert len(exported) > 30


async def test_everything_that_an_operator_exports_is_declared_and_so_on_the_page() -> None:
    options = OperatorOptions(operator_namespace=SYSTEM)
    parts = assemble(populated(proxy("crm")), options, SystemClock())
    exported = {family.name for family in parts.admin.metrics.registry.collect()}
    assert exported - OF_THE_OPERATOR.keys() == set()


def test_every_family_has_a_text_and_labels_that_are_explained_where_they_are_shared() -> None:
    assert [name for name, family in ALL.items() if not family.text] == []
    # Labels of one word are explained by the family's text.
    shared = {label for family in ALL.values() for label in family.labels if "_" in label} - LABELS.keys()
    assert {label for label in shared if sum(label in family.labels for family in ALL.values()) > 3} == set()
