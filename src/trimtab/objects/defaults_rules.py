"""Defaults of built-in kinds that are plain facts, as a table (spec/embedded-cluster.md 9).

A rule is `(path, value)` or `(path, value, when_path, when_value)`. In a path, `name?` means "only
where the member is there", `name[]` each item of a list; other members on the way are created.
`when_path` starts where `path` starts. What needs more than that is code in `defaults.py`.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["RULES", "Rule"]

Rule = tuple[str, Any] | tuple[str, Any, str, Any]

_RBAC: Final = "rbac.authorization.k8s.io"
_MATCH: Final[tuple[tuple[str, Any], ...]] = (
    ("matchPolicy", "Equivalent"),
    ("namespaceSelector", {}),
    ("objectSelector", {}),
)
_WEBHOOK: Final[tuple[Rule, ...]] = (
    ("webhooks[].failurePolicy", "Fail"),
    *((f"webhooks[].{name}", value) for name, value in _MATCH),
    ("webhooks[].timeoutSeconds", 10),
    ("webhooks[].rules[].scope", "*"),
    ("webhooks[].clientConfig?.service?.port", 443),
)
_BINDING: Final[tuple[Rule, ...]] = (
    ("roleRef?.apiGroup", _RBAC),
    ("subjects[].apiGroup", _RBAC, "subjects[].kind", "User"),
    ("subjects[].apiGroup", _RBAC, "subjects[].kind", "Group"),
)
_POLICY: Final[tuple[Rule, ...]] = (
    ("spec.failurePolicy", "Fail"),
    *((f"spec.matchConstraints?.{name}", value) for name, value in _MATCH),
    ("spec.matchConstraints?.resourceRules[].scope", "*"),
    ("spec.matchConstraints?.excludeResourceRules[].scope", "*"),
)
_POLICY_BINDING: Final[tuple[Rule, ...]] = (
    *((f"spec.matchResources?.{name}", value) for name, value in _MATCH),
    ("spec.matchResources?.resourceRules[].scope", "*"),
    ("spec.matchResources?.excludeResourceRules[].scope", "*"),
)
_ADMISSION: Final = "admissionregistration.k8s.io"

RULES: Final[dict[tuple[str, str], tuple[Rule, ...]]] = {
    ("apps", "Deployment"): (
        ("spec.replicas", 1),
        ("spec.strategy.type", "RollingUpdate"),
        (
            "spec.strategy.rollingUpdate.maxUnavailable",
            "25%",
            "spec.strategy.type",
            "RollingUpdate",
        ),
        ("spec.strategy.rollingUpdate.maxSurge", "25%", "spec.strategy.type", "RollingUpdate"),
        ("spec.revisionHistoryLimit", 10),
        ("spec.progressDeadlineSeconds", 600),
    ),
    ("apps", "StatefulSet"): (
        ("spec.podManagementPolicy", "OrderedReady"),
        ("spec.updateStrategy.type", "RollingUpdate"),
        (
            "spec.updateStrategy.rollingUpdate.partition",
            0,
            "spec.updateStrategy.type",
            "RollingUpdate",
        ),
        ("spec.persistentVolumeClaimRetentionPolicy.whenDeleted", "Retain"),
        ("spec.persistentVolumeClaimRetentionPolicy.whenScaled", "Retain"),
        ("spec.replicas", 1),
        ("spec.revisionHistoryLimit", 10),
        ("spec.volumeClaimTemplates[].apiVersion", "v1"),
        ("spec.volumeClaimTemplates[].kind", "PersistentVolumeClaim"),
        ("spec.volumeClaimTemplates[].spec.volumeMode", "Filesystem"),
        ("spec.volumeClaimTemplates[].status.phase", "Pending"),
    ),
    ("apps", "DaemonSet"): (
        ("spec.updateStrategy.type", "RollingUpdate"),
        (
            "spec.updateStrategy.rollingUpdate.maxUnavailable",
            1,
            "spec.updateStrategy.type",
            "RollingUpdate",
        ),
        (
            "spec.updateStrategy.rollingUpdate.maxSurge",
            0,
            "spec.updateStrategy.type",
            "RollingUpdate",
        ),
        ("spec.revisionHistoryLimit", 10),
    ),
    ("apps", "ReplicaSet"): (("spec.replicas", 1),),
    ("", "ReplicationController"): (("spec.replicas", 1),),
    ("batch", "CronJob"): (
        ("spec.concurrencyPolicy", "Allow"),
        ("spec.suspend", False),
        ("spec.successfulJobsHistoryLimit", 3),
        ("spec.failedJobsHistoryLimit", 1),
    ),
    ("batch", "Job"): (
        ("spec.completionMode", "NonIndexed"),
        ("spec.suspend", False),
        ("spec.manualSelector", False),
        ("spec.podFailurePolicy?.rules[].onPodConditions[].status", "True"),
    ),
    ("autoscaling", "HorizontalPodAutoscaler"): (("spec.minReplicas", 1),),
    ("networking.k8s.io", "NetworkPolicy"): (
        ("spec.ingress[].ports[].protocol", "TCP"),
        ("spec.egress[].ports[].protocol", "TCP"),
    ),
    ("networking.k8s.io", "IngressClass"): (("spec?.parameters?.scope", "Cluster"),),
    ("", "Secret"): (("type", "Opaque"),),
    ("", "PersistentVolumeClaim"): (
        ("spec.volumeMode", "Filesystem"),
        ("status.phase", "Pending"),
    ),
    ("", "PersistentVolume"): (
        ("spec.persistentVolumeReclaimPolicy", "Retain"),
        ("spec.volumeMode", "Filesystem"),
        ("spec.hostPath?.type", ""),
        ("status.phase", "Pending"),
    ),
    ("", "Endpoints"): (("subsets[].ports[].protocol", "TCP"),),
    ("discovery.k8s.io", "EndpointSlice"): (
        ("ports[].name", ""),
        ("ports[].protocol", "TCP"),
    ),
    ("storage.k8s.io", "StorageClass"): (
        ("reclaimPolicy", "Delete"),
        ("volumeBindingMode", "Immediate"),
    ),
    ("storage.k8s.io", "CSIDriver"): (
        ("spec.attachRequired", True),
        ("spec.podInfoOnMount", False),
        ("spec.storageCapacity", False),
        ("spec.fsGroupPolicy", "ReadWriteOnceWithFSType"),
        ("spec.volumeLifecycleModes", ["Persistent"]),
        ("spec.requiresRepublish", False),
        ("spec.seLinuxMount", False),
    ),
    ("scheduling.k8s.io", "PriorityClass"): (("preemptionPolicy", "PreemptLowerPriority"),),
    (_RBAC, "RoleBinding"): _BINDING,
    (_RBAC, "ClusterRoleBinding"): _BINDING,
    (_ADMISSION, "ValidatingWebhookConfiguration"): _WEBHOOK,
    (_ADMISSION, "MutatingWebhookConfiguration"): (
        *_WEBHOOK,
        ("webhooks[].reinvocationPolicy", "Never"),
    ),
    (_ADMISSION, "ValidatingAdmissionPolicy"): _POLICY,
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): _POLICY_BINDING,
    (_ADMISSION, "MutatingAdmissionPolicy"): _POLICY,
    (_ADMISSION, "MutatingAdmissionPolicyBinding"): _POLICY_BINDING,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): (
        ("spec.conversion.strategy", "None"),
        ("spec.conversion.webhook?.clientConfig?.service?.port", 443),
    ),
    ("apiregistration.k8s.io", "APIService"): (("spec.service?.port", 443),),
}
