"""trimtab: a GitOps control plane. What stands in Git becomes what runs in Kubernetes."""

__version__ = "0.1.0"
