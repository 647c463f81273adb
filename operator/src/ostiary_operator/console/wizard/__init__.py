"""The wizard of `/new`: three steps to a first MCPProxy, as YAML to commit.

It connects to nothing that is typed, and writes nothing.

steps           the steps, which findings belong to each, and which field of the form a finding is about
wizard_model    what the page shows: the form, the YAML by lines, the verdict, the difference and the commands
surroundings    what the viewer may see of what exists: rivals for a path, gateways, policies
recorded_use    what callers of an MCPProxy used, from the evidence of gateways
"""
