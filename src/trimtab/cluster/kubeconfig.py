"""The kubeconfig of an embedded cluster: a file of its own, never the user's."""

from __future__ import annotations

import base64
from pathlib import Path

from trimtab.cluster.certificates import write_private
from trimtab.lang import yaml

__all__ = ["kubeconfig_text", "write_kubeconfig"]


def kubeconfig_text(name: str, url: str, ca_pem: str, token: str) -> str:
    """One cluster, one user with the token, one context."""
    return yaml.dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": name,
                    "cluster": {
                        "server": url,
                        "certificate-authority-data": base64.b64encode(ca_pem.encode()).decode(),
                    },
                }
            ],
            "users": [{"name": f"{name}-admin", "user": {"token": token}}],
            "contexts": [
                {
                    "name": name,
                    "context": {"cluster": name, "user": f"{name}-admin", "namespace": "default"},
                }
            ],
            "current-context": name,
        }
    )


def write_kubeconfig(path: Path, text: str) -> None:
    """Mode 0600."""
    write_private(path, text)
