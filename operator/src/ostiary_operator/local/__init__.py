"""Ostiary without a cluster: what `ostiary validate`, `compile`, `run` and `explain` do.

files           YAML files that the paths of a command line name, and their changes
manifests       files to Kubernetes objects with positions (``yaml_positions``), and findings for what is no object
                (``yaml_faults``)
object_checks   validation of one object by its model
validation      validation of all objects by the compiler, with an implied gateway
findings        one error or warning, as a line for people and as an object for programs
compilation     ``ostiary compile``
runner          ``ostiary run``; its parts are ``run_options``, ``project``, ``source_files``, ``project_state``,
                ``embedded_gateway``, ``mock_servers``, ``mock_server_process`` (with ``die_with_parent``),
                ``upstreams``, ``port_check``, ``console``, ``welcome``, ``reload_report``, ``call_log``,
                ``companion`` (what runs next to the gateway: the console)
governed_proxy  an MCPProxy with the policies in force; what they decide: ``explanation``, ``decision_changes``,
                ``caller_catalogue``, ``access_matrix``
proxy_drafts    MCPProxies from the fields of a form
client_setups   how to connect each client
quantities      how numbers are written; ``block_charts``: charts for a terminal
mcp_probe       a small MCP client, for ``ostiary run`` and ``ostiary doctor``
"""
