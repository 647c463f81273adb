"""The one pure policy evaluator.

It decides for the gateway, for ``ostiary explain`` and for policy tests.

    visibility            what a caller may see and use at one proxy: the catalogue and the access together
    name_access           what one caller may do with a name
    catalogue             the names that exist at a proxy
    usable_names          whether any name could pass
    access                the rules of all policies of a proxy
    compiled_policy       the rules of one policy, compiled once for every proxy that it governs
    authentication_in_force  which policies of a proxy authenticate its callers

    principal             the caller that a decision is about
    claims                the principal that the claims of a token describe
    subjects              the callers that a policy governs
    principal_conditions  conditions that depend on the caller alone, evaluated once for each caller
    conditions            the conditions of a rule besides the names
    arguments             constraints on the arguments of a call
    expressions           conditions in CEL; ``expression_cost`` limits their work, ``cel_engine`` evaluates them
    schema_narrowing      the input schema of a tool, with the constraints on its arguments
    name_matcher          names, prefixes, suffixes and patterns of one list
    uri_readings          every reading that servers may give a URI
    exposed_readings      the same, and both forms of a name, where servers are merged
    routing               which of its servers a proxy sends a message to
    cost_limits           the steps that a decision may take

    judgement             the judgement of the rules that match a name
    decision              the decision on one name, and its reason
    decision_cache        decisions that are not computed again
    decision_trace        why a decision is what it is, rule by rule: slow, for people
    unmatched_names       names in rules that no server is known to offer
"""
