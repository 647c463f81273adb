"""Recording rules and alerts, as Prometheus reads them.

How a counter's increase is recorded: Prometheus' own `increase` loses the first value of a series, which is the first
call of every tool, and returns fractions. So a rule is evaluated once a minute and says how far each series has come
since the evaluation before: the differences add up to what the counter says, whatever the interval of scrapes, and also
of series whose process has ended meanwhile. A value counts whole

- where the process began again,
- where there was none before, and the same process was scraped before, or has only just begun. Else it is the counter
  of a process that ran long before Prometheus knew it.
"""

from typing import Any, Final

from ostiary_tools.generate.boards.boards_file import AlertRule, BoardsFile, IncreaseRule

#: How often increases are recorded, and over what time. The names of records say so.
MINUTE: Final = "1m"
#: The page of runbooks. The chart adds where it is published.
RUNBOOKS: Final = "docs/runbooks.md"
#: What identifies the process and where it runs, in Prometheus: kept by records, where targets have it.
TARGET_LABELS: Final = ("cluster", "namespace", "job")
#: How long a target may be away, in seconds: then what it counted meanwhile is lost, and never counted twice.
_LONGEST_GAP: Final = 900
_STARTED: Final = "process_start_time_seconds"


def groups(file: BoardsFile, *, every: str = MINUTE) -> list[dict[str, Any]]:
    """Return the groups of rules.

    ``every`` is shorter in tests, so that they need not wait for minutes.
    """
    records = [_record(rule, every) for rule in file.increases]
    alerts = [_alert(alert) for alert in file.alerts]
    found = [{"name": "ostiary-increases", "interval": every, "rules": records}]
    if alerts:
        found.append({"name": "ostiary-alerts", "rules": alerts})
    return found


def _record(rule: IncreaseRule, every: str) -> dict[str, Any]:
    return {"record": rule.record, "expr": increase(rule, every)}


def increase(rule: IncreaseRule, every: str = MINUTE) -> str:
    """Return how much a counter has grown since the evaluation before, as PromQL."""
    now, gap = f"[{every}]", f"[{_LONGEST_GAP}s] offset {every}"
    current = f"last_over_time({rule.metric}{now})"
    before = f"last_over_time({rule.metric}{gap})"
    started, known = f"last_over_time({_STARTED}{now})", f"last_over_time({_STARTED}{gap})"
    young = f"{started} > time() - {_LONGEST_GAP}"
    kept = ", ".join((*TARGET_LABELS, *rule.by))
    return (
        f"sum by ({kept}) (\n"
        f"  ({current} - {before}) >= 0 unless on (job, instance) ({started} != {known})\n"
        f"  or\n"
        f"  {current} and on (job, instance) ({known} or {young})\n"
        f")"
    )


def _alert(alert: AlertRule) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.hold,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": f"{alert.meaning} {alert.impact}",
            "runbook": f"{RUNBOOKS}#{alert.name.lower()}",
        },
    }
