"""The one pure policy evaluator.

It decides for the gateway, for ``ostiary explain`` and for policy tests.

    visibility        what a caller may see and use at one proxy: the catalogue and the access together
    access            the rules of all policies of a proxy, compiled
    name_matcher      names, prefixes, suffixes and patterns of one list
    uri_readings      every reading that servers may give a URI
    cost_limits       the steps that a decision may take
    decision_trace    why a decision is what it is, rule by rule: slow, for people
    decision_cache    decisions that are not computed again
    principal         the caller that a decision is about
    unmatched_names   names in rules that no server is known to offer
"""
