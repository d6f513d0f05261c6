"""The built-in resources that are served (spec/embedded-cluster.md 6), as a table."""

from __future__ import annotations

from typing import Final

import msgspec

from trimtab.objects.identity import GVK, GroupKind, api_version

__all__ = ["Resource", "builtin_resources"]

STANDARD: Final = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
)


class Resource(msgspec.Struct, frozen=True):
    """One resource of one group and version. `storage` is where its objects live (events of two
    groups share a table); `subresources` are names such as status and scale."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    verbs: tuple[str, ...] = STANDARD
    subresources: tuple[str, ...] = ()
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    custom: bool = False

    @property
    def gvk(self) -> GVK:
        return GVK(self.group, self.version, self.kind)

    @property
    def storage(self) -> GroupKind:
        if self.kind == "Event":
            return GroupKind("", "Event")
        return GroupKind(self.group, self.kind)

    @property
    def api_version(self) -> str:
        return api_version(self.group, self.version)

    @property
    def title(self) -> str:
        """`deployments.apps`, as messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


_STREAMS: Final = "exec,attach,portforward,proxy"
# group/version: plural Kind scope(N|C) subresources short-names categories ("-" for none)
_TABLE: Final = """
v1
  bindings Binding N - - - create
  componentstatuses ComponentStatus C - cs - get,list
  configmaps ConfigMap N - cm -
  endpoints Endpoints N - ep -
  events Event N - ev -
  limitranges LimitRange N - limits -
  namespaces Namespace C status,finalize ns - create,delete,get,list,patch,update,watch
  nodes Node C status no -
  persistentvolumeclaims PersistentVolumeClaim N status pvc -
  persistentvolumes PersistentVolume C status pv -
  pods Pod N status,log,eviction,binding,ephemeralcontainers,resize,STREAMS po all
  podtemplates PodTemplate N - - -
  replicationcontrollers ReplicationController N status,scale rc all
  resourcequotas ResourceQuota N status quota -
  secrets Secret N - - -
  serviceaccounts ServiceAccount N token sa -
  services Service N status,proxy svc all
apps/v1
  controllerrevisions ControllerRevision N - - -
  daemonsets DaemonSet N status ds all
  deployments Deployment N status,scale deploy all
  replicasets ReplicaSet N status,scale rs all
  statefulsets StatefulSet N status,scale sts all
batch/v1
  cronjobs CronJob N status cj all
  jobs Job N status - all
autoscaling/v2
  horizontalpodautoscalers HorizontalPodAutoscaler N status hpa all
autoscaling/v1
  horizontalpodautoscalers HorizontalPodAutoscaler N status hpa all
policy/v1
  poddisruptionbudgets PodDisruptionBudget N status pdb -
networking.k8s.io/v1
  ingresses Ingress N status ing -
  ingressclasses IngressClass C - - -
  ipaddresses IPAddress C - ip -
  networkpolicies NetworkPolicy N - netpol -
  servicecidrs ServiceCIDR C status - -
discovery.k8s.io/v1
  endpointslices EndpointSlice N - - -
events.k8s.io/v1
  events Event N - ev -
coordination.k8s.io/v1
  leases Lease N - - -
rbac.authorization.k8s.io/v1
  clusterrolebindings ClusterRoleBinding C - - -
  clusterroles ClusterRole C - - -
  rolebindings RoleBinding N - - -
  roles Role N - - -
authorization.k8s.io/v1
  localsubjectaccessreviews LocalSubjectAccessReview N - - - create
  selfsubjectaccessreviews SelfSubjectAccessReview C - - - create
  selfsubjectrulesreviews SelfSubjectRulesReview C - - - create
  subjectaccessreviews SubjectAccessReview C - - - create
authentication.k8s.io/v1
  selfsubjectreviews SelfSubjectReview C - - - create
  tokenreviews TokenReview C - - - create
storage.k8s.io/v1
  csidrivers CSIDriver C - - -
  csinodes CSINode C - - -
  csistoragecapacities CSIStorageCapacity N - - -
  storageclasses StorageClass C - sc -
  volumeattachments VolumeAttachment C status - -
scheduling.k8s.io/v1
  priorityclasses PriorityClass C - pc -
node.k8s.io/v1
  runtimeclasses RuntimeClass C - - -
certificates.k8s.io/v1
  certificatesigningrequests CertificateSigningRequest C status,approval csr -
flowcontrol.apiserver.k8s.io/v1
  flowschemas FlowSchema C status - -
  prioritylevelconfigurations PriorityLevelConfiguration C status - -
admissionregistration.k8s.io/v1
  mutatingwebhookconfigurations MutatingWebhookConfiguration C - - api-extensions
  validatingadmissionpolicies ValidatingAdmissionPolicy C status - api-extensions
  validatingadmissionpolicybindings ValidatingAdmissionPolicyBinding C - - api-extensions
  validatingwebhookconfigurations ValidatingWebhookConfiguration C - - api-extensions
apiextensions.k8s.io/v1
  customresourcedefinitions CustomResourceDefinition C status crd,crds api-extensions
"""


def builtin_resources() -> tuple[Resource, ...]:
    """Every row of the table."""
    found = []
    group = version = ""
    for line in _TABLE.replace("STREAMS", _STREAMS).strip().splitlines():
        if not line.startswith(" "):
            group, _, version = line.rpartition("/")
            continue
        plural, kind, scope, subresources, short, categories, *rest = line.split()
        found.append(
            Resource(
                group=group,
                version=version,
                kind=kind,
                plural=plural,
                singular=kind.lower(),
                namespaced=scope == "N",
                verbs=tuple(rest[0].split(",")) if rest else STANDARD,
                subresources=_names(subresources),
                short_names=_names(short),
                categories=_names(categories),
            )
        )
    return tuple(found)


def _names(text: str) -> tuple[str, ...]:
    return () if text == "-" else tuple(text.split(","))
