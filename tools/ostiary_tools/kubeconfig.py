"""Self-contained kubeconfig files: address, authority and token are inside."""

import base64

import yaml


def render(*, url: str, authority: bytes, token: str, user: str, namespace: str = "default") -> str:
    """Return the text of a kubeconfig. It contains the token: write it with `private.write`.

    Args:
        url: of the API server.
        authority: the PEM of its certificate authority.
        token: a bearer token.
        user: the name of the token's user in the file.
        namespace: the default namespace of commands.
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
