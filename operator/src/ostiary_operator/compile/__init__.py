"""The pure compiler: from resources and previous configs to a config for each gateway.

It also returns a status for each resource. It does no I/O, reads no clock and does not import kopf. The operator,
``ostiary run``, ``ostiary validate`` and the golden tests all call
:func:`ostiary_operator.compile.compiler.compile_resources`. The order of its inputs never changes a byte of its output.

The modules in the order in which the compiler uses them:

model       input and output; ``objects`` builds the input from plain Kubernetes objects
subjects    the resources, each parsed and validated on its own; ``packed`` encodes them compactly
gateways    which gateways exist, with the text of their settings; ``sites`` parses the settings
targets     which proxies a policy means, and ``policies``: which version of each policy is in force
admission   which version of each proxy is in force where, by ``placement``, ``grants``, ``paths``, ``references``
entries     the documents, of ``servers`` and the policies in force; ``budget`` bounds them per namespace
statuses    the status of each resource
"""
