"""Drafts of MCPProxies: from the fields of a form to YAML, its verdict and its difference.

It is pure: nothing is connected to, read or written. A field is not judged where it is read, but where it ends up: in
the YAML, by the same code as `ostiary validate`.

proxy_form        the fields, as texts: read from a form, or from an MCPProxy that exists
draft_objects     the objects that the fields describe, with what a form does not show kept as it is
draft_text        the objects as YAML, and the difference of two texts by line
draft_verdict     what is wrong with the YAML, by line and field, and where the endpoint will be
"""
