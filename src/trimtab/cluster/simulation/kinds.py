"""The kinds the simulated controllers know."""

from __future__ import annotations

from trimtab.objects.identity import GroupKind

__all__ = [
    "CONFIG_MAP",
    "CONTROLLER_REVISION",
    "CRON_JOB",
    "DAEMON_SET",
    "DEPLOYMENT",
    "ENDPOINTS",
    "ENDPOINT_SLICE",
    "HPA",
    "INGRESS",
    "JOB",
    "LEASE",
    "NAMESPACE",
    "NODE",
    "PDB",
    "POD",
    "PV",
    "PVC",
    "REPLICA_SET",
    "SECRET",
    "SERVICE",
    "SERVICE_ACCOUNT",
    "SIMULATED",
    "STATEFUL_SET",
    "STORAGE_CLASS",
    "WATCHED",
]

POD = GroupKind("", "Pod")
SERVICE = GroupKind("", "Service")
ENDPOINTS = GroupKind("", "Endpoints")
NODE = GroupKind("", "Node")
NAMESPACE = GroupKind("", "Namespace")
SERVICE_ACCOUNT = GroupKind("", "ServiceAccount")
CONFIG_MAP = GroupKind("", "ConfigMap")
SECRET = GroupKind("", "Secret")
PVC = GroupKind("", "PersistentVolumeClaim")
PV = GroupKind("", "PersistentVolume")
DEPLOYMENT = GroupKind("apps", "Deployment")
REPLICA_SET = GroupKind("apps", "ReplicaSet")
STATEFUL_SET = GroupKind("apps", "StatefulSet")
DAEMON_SET = GroupKind("apps", "DaemonSet")
CONTROLLER_REVISION = GroupKind("apps", "ControllerRevision")
JOB = GroupKind("batch", "Job")
CRON_JOB = GroupKind("batch", "CronJob")
HPA = GroupKind("autoscaling", "HorizontalPodAutoscaler")
PDB = GroupKind("policy", "PodDisruptionBudget")
INGRESS = GroupKind("networking.k8s.io", "Ingress")
ENDPOINT_SLICE = GroupKind("discovery.k8s.io", "EndpointSlice")
STORAGE_CLASS = GroupKind("storage.k8s.io", "StorageClass")
LEASE = GroupKind("coordination.k8s.io", "Lease")

WATCHED = (
    NAMESPACE, NODE, SERVICE_ACCOUNT, STORAGE_CLASS, PV, PVC, CRON_JOB, JOB, DEPLOYMENT,
    REPLICA_SET, STATEFUL_SET, DAEMON_SET, CONTROLLER_REVISION, POD, SERVICE, ENDPOINTS,
    ENDPOINT_SLICE, INGRESS, HPA, PDB,
)  # fmt: skip
"""Kept in the cache; owners before what they own, so that start-up finds owners known."""

SIMULATED = (
    CRON_JOB, DAEMON_SET, DEPLOYMENT, ENDPOINTS, ENDPOINT_SLICE, HPA, INGRESS, JOB, NODE, PDB, POD,
    PV, PVC, REPLICA_SET, SERVICE, SERVICE_ACCOUNT, STATEFUL_SET,
)  # fmt: skip
"""Kinds that a controller here moves: what the capabilities document lists."""
