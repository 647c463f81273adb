"""The status of the resources, from the compiler and from the replicas' reports.

replicas            finds the replicas of a gateway, and requests their reports
replica_reports     parses a report as untrusted input (``report_types``)
reported_servers    the servers of a proxy in it
replica_state       the state of each replica between two polls
poller              polls the replicas, fast while a change is expected, slowly otherwise
programmed          computes the condition Programmed (pure)
unmatched_rules     computes names in rules that no server offers (pure)
upstream_health     computes the conditions UpstreamHealthy and UpstreamsHealthy (pure)
server_statuses     computes what gateways see of each server (pure)
limit_store_ready   computes the condition LimitStoreReady (pure)
telemetry_ready     computes the condition TelemetryReady (pure)
audit_ready         computes the condition AuditReady (pure)
endpoints_observed  computes the condition EndpointsObserved (pure)
auth_discovery      computes the condition AuthDiscovery (pure)
observed_conditions combines these, and delays their changes (pure)
builder             builds the whole status of a resource (pure)
events              records transitions as Events, with a fair queue over namespaces
publisher           combines all of these, and writes the statuses that differ
"""
