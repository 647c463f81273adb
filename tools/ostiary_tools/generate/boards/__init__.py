"""Writes dashboards, rules and runbooks from ``helm/ostiary/observability/boards.yaml``.

definition    the file, checked
rules         recording rules and alerts
grafana       dashboards of Grafana
perses        dashboards of Perses
pages         docs/reference/boards.md and docs/runbooks.md
main          `python -m ostiary_tools.generate.boards.main` writes them all
"""
