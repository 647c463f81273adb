"""The admin port: liveness, readiness, metrics, config and evidence of this replica.

It is separate from the data port, so that a NetworkPolicy can distinguish them.

    admin_port      the listener, and what is open to all: ``/healthz``, ``/readyz``, ``/metrics``
    routes          all of it
    rights          which bearer opens what
    handlers        the answers for the operator and for holders of the admin bearer
    config_report   the page ``/config``
    evidence_routes ``/evidence``, which a bearer of its own opens
    listed_definitions  what servers have listed, in ``/evidence/definitions``
"""
