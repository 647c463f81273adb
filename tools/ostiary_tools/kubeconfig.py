"""Kubeconfig files that stand alone: address, authority and token are all inside."""

import base64

import yaml


def render(*, url: str, authority: bytes, token: str, user: str, namespace: str = "default") -> str:
    """The text of a kubeconfig. It holds the token: write it with `private.write`.

    Args:
        url: of the API server.
        authority: the PEM of the certificate that signed its own.
        token: a bearer token.
        user: how the file calls whoever the token stands for.
        namespace: where commands look that name none.
    """
    cluster = {"server": url, "certificate-authority-data": base64.b64encode(authority).decode()}
    context = {"cluster": "ostiary-local", "user": user, "namespace": namespace}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "ostiary-local", "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "ostiary-local", "context": context}],
        "current-context": "ostiary-local",
    }
    return yaml.safe_dump(config, sort_keys=False)
