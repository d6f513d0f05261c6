"""What becomes of each field of a Flux spec: honoured, refused, or named as without effect.

One table a kind, so that nothing a CRD accepts is silently without effect (ARCHITECTURE 3.10):
what would change the result when left out is refused, everything else is named in the condition
`FieldsNotHonoured`. Paths are dotted, without `spec.`; a path stands for all below it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from trimtab.flux.errors import Stalled

__all__ = [
    "GIT_FIELDS",
    "HELM_REPOSITORY_FIELDS",
    "KUSTOMIZATION_FIELDS",
    "RELEASE_FIELDS",
    "Fields",
]


class Fields(msgspec.Struct, frozen=True):
    """The three tables of one kind."""

    honoured: tuple[str, ...]
    refused: tuple[str, ...]
    named: tuple[str, ...]

    def check(self, spec: Mapping[str, Any]) -> list[str]:
        """The named fields that `spec` uses, as `spec.x.y`. Raises `Stalled` for a refused one."""
        for path in self.refused:
            if _used(spec, path):
                raise Stalled(f"spec.{path} is not supported yet", reason="FeatureNotSupported")
        return [f"spec.{path}" for path in self.named if _used(spec, path)]


# Honouring half of a security feature is worse than refusing it.
GIT_FIELDS: Final = Fields(
    honoured=("url", "interval", "timeout", "ref", "secretRef", "provider", "suspend"),
    refused=(
        "verify",
        "include",
        "recurseSubmodules",
        "proxySecretRef",
        "serviceAccountName",
        # What it leaves out would be applied.
        "ignore",
    ),
    named=("sparseCheckout", "gitImplementation", "accessFrom"),
)

HELM_REPOSITORY_FIELDS: Final = Fields(
    honoured=("url", "interval", "timeout", "type", "secretRef", "certSecretRef", "suspend"),
    refused=(),
    named=("passCredentials", "insecure", "provider", "accessFrom"),
)

KUSTOMIZATION_FIELDS: Final = Fields(
    honoured=(
        "sourceRef",
        "path",
        "interval",
        "retryInterval",
        "timeout",
        "prune",
        "deletionPolicy",
        "targetNamespace",
        "namePrefix",
        "nameSuffix",
        "commonMetadata",
        "patches",
        "images",
        "components",
        "ignoreMissingComponents",
        "buildMetadata",
        "postBuild",
        "healthChecks",
        "wait",
        "force",
        "dependsOn",
        "suspend",
    ),
    refused=(
        "decryption",
        "kubeConfig",
        "serviceAccountName",
        "healthCheckExprs",
        "ignore",
        "patchesStrategicMerge",
        "patchesJson6902",
    ),
    named=("validation",),
)

RELEASE_FIELDS: Final = Fields(
    honoured=(
        "chart.spec.chart",
        "chart.spec.version",
        "chart.spec.sourceRef",
        "chart.spec.interval",
        "chart.spec.reconcileStrategy",
        "chart.spec.valuesFiles",
        "chart.spec.ignoreMissingValuesFiles",
        "interval",
        "releaseName",
        "targetNamespace",
        "storageNamespace",
        "timeout",
        "maxHistory",
        "dependsOn",
        "suspend",
        "values",
        "valuesFrom",
        "install.timeout",
        "install.disableWait",
        "install.disableHooks",
        "install.disableSchemaValidation",
        "install.crds",
        "install.skipCRDs",
        "install.createNamespace",
        "install.remediation.retries",
        "upgrade.timeout",
        "upgrade.disableWait",
        "upgrade.disableHooks",
        "upgrade.disableSchemaValidation",
        "upgrade.remediation.retries",
        "uninstall.keepHistory",
        "driftDetection.mode",
    ),
    refused=(
        "chart.spec.verify",
        "chart.spec.valuesFile",
        "chartRef",
        "kubeConfig",
        "serviceAccountName",
        "postRenderers",
        "commonMetadata",
        "healthCheckExprs",
        "test.enable",
        "driftDetection.ignore",
        "install.disableTakeOwnership",
        "upgrade.disableTakeOwnership",
        "upgrade.preserveValues",
    ),
    named=(
        "chart.metadata",
        "persistentClient",
        "postRenderStrategy",
        "waitStrategy",
        "install.disableWaitForJobs",
        "install.disableOpenAPIValidation",
        "install.serverSideApply",
        "install.strategy",
        "install.replace",
        "install.remediation.ignoreTestFailures",
        "install.remediation.remediateLastFailure",
        "upgrade.crds",
        "upgrade.disableWaitForJobs",
        "upgrade.disableOpenAPIValidation",
        "upgrade.serverSideApply",
        "upgrade.strategy",
        "upgrade.force",
        "upgrade.cleanupOnFail",
        "upgrade.chartNameChangeStrategy",
        "upgrade.remediation.ignoreTestFailures",
        "upgrade.remediation.remediateLastFailure",
        "upgrade.remediation.strategy",
        "rollback",
        "uninstall.timeout",
        "uninstall.disableHooks",
        "uninstall.disableWait",
        "uninstall.deletionPropagation",
        "test.timeout",
        "test.ignoreFailures",
        "test.filters",
    ),
)


# What is done anyway. A field that is not listed here asks for nothing when false or empty.
_DONE_ANYWAY: Final[Mapping[str, tuple[Any, ...]]] = {
    "provider": ("generic",),
    "persistentClient": (True,),
    "postRenderStrategy": ("combined",),
    "install.serverSideApply": (True, "enabled", "auto"),
    "upgrade.serverSideApply": (True, "enabled", "auto"),
    "uninstall.deletionPropagation": ("background",),
}


def _used(spec: Mapping[str, Any], path: str) -> bool:
    """Is the field there with a value that asks for what is not done anyway?"""
    value: Any = spec
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if path in _DONE_ANYWAY:
        return value is not None and value not in _DONE_ANYWAY[path]
    return bool(value)
