"""What a replica says of its collector: nothing where it exports nothing, and no fault that lasts a moment."""

from ostiary_core.metric_export.periodic_export import ExportStats
from ostiary_gateway.metrics.export_health import TOLERANCE, ExportHealth
from ostiary_gateway.telemetry import Telemetry

OK, FAILS = ExportStats(exports=1), ExportStats(failures=1, failing=True)


def test_a_gateway_that_exports_nothing_reports_nothing() -> None:
    assert ExportHealth(Telemetry.disabled(), lambda: None).report() == {}


def test_a_fault_is_reported_once_it_lasts_and_until_it_ends() -> None:
    now, stats = 0.0, OK
    health = ExportHealth(Telemetry.disabled(), lambda: stats, now=lambda: now)

    def failing() -> bool:
        return bool(health.report()["metrics"]["failing"])

    assert not failing()
    stats = FAILS
    assert not failing()
    now = TOLERANCE - 1
    assert not failing()
    now = TOLERANCE
    assert failing()
    stats = OK
    assert not failing()
    stats = FAILS
    assert not failing()  # a new fault has its own time
