"""The API `ostiary.dev/v1alpha1`: its models, their CRDs, and the settings of gateways.

proxy, policy, selectors    what users write: MCPProxy and MCPPolicy
authentication              how an MCPPolicy authenticates callers; ``token_authentication``: by tokens and certificates
limits, tool_costs, loop_detection    how much callers may use, what calls cost, and when an agent repeats itself
name_selections             which names a rule or a limit is for
rule_conditions             which callers and calls a rule matches: subjects, expressions, constraints on arguments
policy_tests                the tests in an MCPPolicy
lock, pinning, definition_text    MCPLock, what an MCPProxy pins and overrides, and definitions as readable texts
servers, server_selection   the servers of an MCPProxy, and how several of them are used
credentials                 the credential that a server of an MCPProxy gets
settings, grants            what the platform team writes: the settings of a gateway
status                      what the operator reports: the statuses of all kinds
conditions                  the types of conditions, and which kind has which
reasons, upstream_reasons, effective_reasons, definition_reasons   the reasons of conditions, with meaning and remedy
resources, load, problems   turn an object or a text into what the compiler reads, or into the list of its problems
yaml_reader                 parses YAML strictly into plain values, with the line of every field
base_model, constraints     the base of all models; constraints that the models and the API server share
names, urls, headers, patterns, durations, quantities    the types of single values
labels, objects             the labels of objects, and what a DNS label is; the type of objects and their metadata
schema, crd, json_schema, field_reference    what is generated: structural schemas, CRDs, schemas for editors, reference
"""
