"""Suggestions for a policy's targetRef that names no MCPProxy.

They are similar names, and other namespaces.
"""

import dataclasses
import difflib
import re
from collections.abc import Iterable
from typing import Final

from ostiary_operator.api.resources import POLICY_KIND, PROXY_KIND
from ostiary_operator.local.findings import Finding
from ostiary_operator.local.manifests import ManifestKey, ObjectManifest

_REFERENCE: Final = re.compile(r"spec\.targetRefs\[(\d+)\]")


def with_suggestion(finding: Finding, manifest: ObjectManifest, known: Iterable[ManifestKey]) -> Finding:
    """Return a finding about a missing MCPProxy with a suggestion as its remedy.

    Any other finding is returned unchanged.

    The suggestion is a similar name in the same namespace, the same name in another namespace (which a policy cannot
    target), or the only MCPProxy of the namespace.
    """
    place = _REFERENCE.fullmatch(finding.field)
    if place is None or manifest.key.kind != POLICY_KIND or "there is no MCPProxy" not in finding.message:
        return finding
    name = str(manifest.value["spec"]["targetRefs"][int(place[1])]["name"])
    proxies = [key for key in known if key.kind == PROXY_KIND]
    hint = _hint(name, manifest.key.namespace, proxies)
    return dataclasses.replace(finding, remedy=hint) if hint else finding


def _hint(name: str, namespace: str, proxies: list[ManifestKey]) -> str:
    here = [key.name for key in proxies if key.namespace == namespace]
    close = difflib.get_close_matches(name, here, n=1)
    if close:
        return f"did you mean {close[0]}? Correct the name, or create the MCPProxy in the policy's namespace"
    elsewhere = next((key.namespace for key in proxies if key.name == name), "")
    if elsewhere:
        return f"there is one in namespace {elsewhere}, but a policy targets its own namespace: place it there"
    if len(here) == 1:
        return f"the only one here is {here[0]}: correct the name, or create the MCPProxy in the policy's namespace"
    return ""
