"""The status of the resources, from the compiler and from the replicas' reports.

replicas    finds the replicas of a gateway, and requests their reports
reports     parses a report as untrusted input
watch       the state of each replica between two polls
poller      polls the replicas, fast while a change is expected, slowly otherwise
programmed  computes the condition Programmed (pure)
slips       computes names in rules that no server offers (pure)
upstream    computes the condition UpstreamHealthy (pure)
document    builds the whole status of a resource (pure)
writer      writes statuses that differ
events      records transitions as Events
turns       a fair queue, so that no namespace waits for another
board       the status publisher: it combines all of these
"""
