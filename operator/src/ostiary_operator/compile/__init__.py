"""The pure compiler: from resources and previous configs to a config for each gateway.

It also returns a status for each resource. It does no I/O, reads no clock and does not import kopf. The operator,
``ostiary run``, ``ostiary validate`` and the golden tests all call
:func:`ostiary_operator.compile.compiler.compile_resources`. The order of its inputs never changes a byte of its output.

The modules in the order in which the compiler uses them:

model               input and output; ``inputs`` builds the input from plain Kubernetes objects
resource_parser     the resources, each parsed and validated on its own
api_key_secrets     Secrets with API keys, as digests; ``credential_secrets``: those with credentials of servers
gateways            which gateways exist, with the text of their settings; ``gateway_settings`` parses it
targets, policies   which proxies a policy means; which version of each policy is in force: the newest of
                    ``policy_versions``, or the last accepted one
authentication      how a policy authenticates callers: its keys, ``token_issuers`` for tokens and certificates, and
                    ``policy_references``: the ``ca_bundles`` and the client secret that it refers to
policy_test_runner  the tests in policies
server_references   the URLs of servers of other operators: ``foreign_servers`` reads what those say,
                    ``published_urls`` judges it
proxies             which version of each proxy is in force where, by ``placement``, ``grants``, ``routes``,
                    ``references``, the ``backends`` that its servers lead to, and the ``credentials`` that they get
entries             the documents of the proxies, with ``server_selection``; ``quota`` bounds them per namespace
statuses            the status of each proxy, and ``policy_statuses``, with ``advisories`` that are no part of Ready,
                    such as ``token_audiences``, ``unprefixed_names`` and ``unknown_servers``, and ``messages``
weakenings          what a change of the config in force weakens; ``server_weakenings``: by another server
compiler            the whole compilation; ``cache`` keeps results between two, ``encoded_document`` their JSON
"""
