"""Ostiary without a cluster: ``ostiary validate``, ``ostiary compile`` and ``ostiary run``.

files           YAML files that the paths of a command line name, and their changes
manifests       files to Kubernetes objects with positions (``yaml_positions``), and findings for what is no object
                (``yaml_faults``)
object_checks   validation of one object by its model
validation      validation of all objects by the compiler, with an implied gateway
findings        one error or warning, as a line for people and as an object for programs
compilation     ``ostiary compile``
runner          ``ostiary run``; its parts are ``run_options``, ``project``, ``source_files``, ``project_state``,
                ``embedded_gateway``, ``mock_servers``, ``mock_server_process`` (with ``die_with_parent``),
                ``upstreams``, ``port_check``, ``console``, ``welcome``, ``reload_report``, ``call_log``
mcp_probe       a small MCP client, for ``ostiary run`` and ``ostiary doctor``
"""
