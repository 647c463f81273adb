"""Evidence of requests in this replica's memory: counts, the latest calls, refusals.

It is bounded, whatever callers send. The record stage feeds it (:mod:`ostiary_gateway.pipeline.evidence_recording`),
and the admin port serves it (:mod:`ostiary_gateway.admin.evidence_routes`). Nothing is written to disk or sent
anywhere, and a restart forgets it.

    gateway_evidence   all of it, and whether it is recorded
    traffic_store      counts by proxy, and their document
    proxy_evidence     the windows and names of one proxy
    live_window        the window that goes on, and closed ones in few bytes
    name_table         the most used names of one proxy
    call_ring          the latest calls; ``call_documents``: as JSON
    refusal_table      distinct refusals
    listed_items       what servers have listed, whole
    evidence_query     the parameters of readers
    ended_requests     requests that are not counted yet
"""
