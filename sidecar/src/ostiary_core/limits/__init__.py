"""Limits of callers: which of them count a request, and the arithmetic of their counters.

It is pure: the state of counters and the time are arguments. Counters themselves are in the gateway.

    limit_evaluator   the limits of one proxy that count a request, and what it takes of each
    compiled_limit    one limit of one policy
    request_matcher   the requests that a limit or a weight is for
    cost_weight       what a call costs, where a limit counts cost
    charge            what a request takes of one counter, and the counter's key
    rate              counters of rates: the Generic Cell Rate Algorithm
    loop_detection    agents that repeat one call: rules, and the history of calls
    quota             counters of quotas: windows, and periods of the calendar
"""
