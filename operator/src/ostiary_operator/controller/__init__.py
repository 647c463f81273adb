"""Reconciles: work queue, passes, leader election, and the guard against mass deletion.

app                  runs the operator: its tasks, start and end
queue                decides when a pass runs
reconciler           one pass: list, compile, deliver, report; ``gateway_problems`` reports what is wrong with gateways
config_delivery      the stage of a pass that puts configs in force
change_trace         one trace for each change, until replicas enforce it: ``pass_trace``, ``span_names``, ``tracing``
applied_configs      the last config of each gateway
mass_deletion_guard  delays a pass that would remove everything
leader_election      which replica of the operator leads; ``namespace_ownership``: which operator serves a namespace
admin, metrics       the admin endpoint and its metrics
"""
