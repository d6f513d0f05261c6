"""The kubelets of all simulated nodes: a Pod's life once it is bound (spec 11)."""

from __future__ import annotations

import msgspec

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.containers import NEVER, ContainerRun, Told, Turn, restored, step
from trimtab.cluster.simulation.faults import duration_s, fault_of, fault_of_image
from trimtab.cluster.simulation.kinds import CONFIG_MAP, NODE, POD, SECRET
from trimtab.cluster.simulation.kit import Kit
from trimtab.cluster.simulation.podspec import is_finished, is_terminating
from trimtab.cluster.simulation.podstatus import phase_of, pod_status
from trimtab.objects.identity import ObjectKey, gvk_of, key_of

__all__ = ["Kubelet"]

COMPONENT = "kubelet"
RUN = "embedded.sim/run"  # how long a Pod that is meant to end runs, such as 30s
EXIT_CODE = "embedded.sim/exit-code"


class _PodRun(msgspec.Struct):
    """The memory of one Pod: its containers, its address, when it must be gone."""

    containers: list[ContainerRun]
    ip: str = ""
    stop_at: float | None = None
    stopped: bool = False
    blocked: str = ""


def sources_of(spec: Object) -> list[tuple[bool, str, str]]:
    """(is a volume, kind, name) of every ConfigMap and Secret a Pod cannot do without."""
    found: list[tuple[bool, str, str]] = []
    for volume in spec.get("volumes") or ():
        config, secret = volume.get("configMap") or {}, volume.get("secret") or {}
        if config.get("name") and not config.get("optional"):
            found.append((True, "configmap", config["name"]))
        if secret.get("secretName") and not secret.get("optional"):
            found.append((True, "secret", secret["secretName"]))
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        entries = [e.get("valueFrom") or {} for e in container.get("env") or ()]
        pairs = [(e.get("configMapKeyRef"), e.get("secretKeyRef")) for e in entries]
        pairs += [
            (e.get("configMapRef"), e.get("secretRef")) for e in container.get("envFrom") or ()
        ]
        for config, secret in pairs:
            for kind, ref in (("configmap", config), ("secret", secret)):
                if ref and ref.get("name") and not ref.get("optional"):
                    found.append((False, kind, ref["name"]))
    return found


class Kubelet:
    """Starts, watches and ends the containers of every bound Pod."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.queue = kit.queue("kubelet", self.reconcile)
        self._runs: dict[str, _PodRun] = {}
        self._blocked: dict[str, set[ObjectKey]] = {}
        self._images: dict[str, set[str]] = {}
        self._addresses: set[str] = set()
        self._next_address = 0
        kit.on(POD, self._pod_changed)
        kit.on(NODE, self._node_changed)
        kit.on_any(self._source_changed)

    # -- what wakes it --------------------------------------------------------------------------

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            if old is None:
                self._addresses.add((new.get("status") or {}).get("podIP", ""))
            if new["spec"].get("nodeName") or is_terminating(new):
                self.queue.add(key_of(new))
        elif old is not None:
            self._forget(old)

    def _forget(self, pod: Object) -> None:
        self._runs.pop(pod["metadata"]["uid"], None)
        self._addresses.discard((pod.get("status") or {}).get("podIP", ""))
        self._blocked.get(pod["metadata"]["namespace"], set()).discard(key_of(pod))

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if old is None or new is not None:
            return
        name = old["metadata"]["name"]
        self._images.pop(name, None)
        for pod in self.kit.cache.of_kind(POD):
            if pod["spec"].get("nodeName") == name:
                self.queue.add(key_of(pod))

    def _source_changed(self, old: Object | None, new: Object | None) -> None:
        """A ConfigMap or Secret appeared: Pods that wait for one look again."""
        if old is None and new is not None and gvk_of(new).group_kind in (CONFIG_MAP, SECRET):
            for key in self._blocked.pop(new["metadata"].get("namespace", ""), ()):
                self.queue.add(key)

    # -- one Pod --------------------------------------------------------------------------------

    def reconcile(self, key: ObjectKey) -> None:
        pod = self.kit.get(POD, key.namespace, key.name)
        if pod is None:
            return
        node = pod["spec"].get("nodeName")
        if not node:
            if is_terminating(pod):
                self.kit.delete(pod, grace=0)
            return
        if self.kit.get(NODE, "", node) is None:
            self.kit.delete(pod, grace=0)  # its node is gone, nobody else can end it
        elif is_terminating(pod):
            self._stop(pod)
        elif not is_finished(pod):
            self._run(pod)

    def _run(self, pod: Object) -> None:
        run = self._memory(pod)
        self._swap_images(pod, run)
        now = self.kit.clock.monotonic()
        if self._may_start(pod, run):
            self._step_all(pod, run, now)
        if not run.ip and any(c.started for c in run.containers):
            run.ip = self._address(pod)
        status = pod_status(
            pod, run.containers, pod_ip=run.ip, host_ip=self._host_ip(pod), now=self.kit.now()
        )
        self.kit.set_status(pod, status, manager=COMPONENT)
        due = min((c.due for c in self._current(run)), default=NEVER)
        if due != NEVER and not run.blocked and status["phase"] not in {"Succeeded", "Failed"}:
            self.queue.add_after(key_of(pod), max(due - now, 0.001))

    def _memory(self, pod: Object) -> _PodRun:
        uid = pod["metadata"]["uid"]
        run = self._runs.get(uid)
        if run is not None:
            return run
        status = pod.get("status") or {}
        known = {
            s["name"]: s
            for f in ("initContainerStatuses", "containerStatuses")
            for s in status.get(f) or ()
        }
        spec = pod["spec"]
        containers = [
            restored(c, known.get(c["name"]), init=True, sidecar=c.get("restartPolicy") == "Always")
            for c in spec.get("initContainers") or ()
        ]
        containers += [
            restored(c, known.get(c["name"]), init=False, sidecar=False)
            for c in spec.get("containers") or ()
        ]
        run = _PodRun(containers, ip=status.get("podIP", ""))
        self._runs[uid] = run
        for container in containers:
            if container.state == "created":
                container.due = -1.0  # its pull begins when its turn comes
        return run

    def _swap_images(self, pod: Object, run: _PodRun) -> None:
        """A changed image restarts its container in place."""
        images = {
            c["name"]: c.get("image") or ""
            for f in ("initContainers", "containers")
            for c in pod["spec"].get(f) or ()
        }
        for item in run.containers:
            image = images.get(item.name, item.image)
            if image != item.image:
                item.restarts += item.state in {"running", "crashed"}
                item.image, item.state, item.due = image, "created", -1.0
                item.reason, item.message, item.ready = "ContainerCreating", "", False

    def _current(self, run: _PodRun) -> list[ContainerRun]:
        """The containers whose turn it is: init containers one by one, then all the others."""
        active: list[ContainerRun] = []
        for item in run.containers:
            if not item.init:
                continue
            active.append(item)
            passed = item.started if item.sidecar else item.ended and not item.exit_code
            if not passed:
                return active
        return active + [c for c in run.containers if not c.init]

    def _step_all(self, pod: Object, run: _PodRun, now: float) -> None:
        """Steps until nothing more is due; a finished init container lets the next begin."""
        seen: list[ContainerRun] = []
        while True:
            current = self._current(run)
            for item in current:
                if item.due < 0:
                    item.due = now + self._pull_delay(pod, item)
                step(item, self._turn(pod, item, now))
            if current == seen or phase_of(pod, run.containers) == "Failed":
                return
            seen = current

    def _pull_delay(self, pod: Object, item: ContainerRun) -> float:
        images = self._images.setdefault(pod["spec"]["nodeName"], set())
        if item.image in images:
            return 0.0
        self._tell(pod)("Normal", "Pulling", f'Pulling image "{item.image}"')
        failing = fault_of(pod) or fault_of_image(item.image)
        if failing is None or failing.name != "image-pull":
            images.add(item.image)
        return self.kit.delays.pull

    def _turn(self, pod: Object, item: ContainerRun, now: float) -> Turn:
        meta = pod["metadata"]
        notes = meta.get("annotations") or {}
        code = str(notes.get(EXIT_CODE, "0"))
        return Turn(
            now=now,
            stamp=self.kit.now(),
            delays=self.kit.delays,
            fault=fault_of(pod) or fault_of_image(item.image),
            restart_policy=pod["spec"].get("restartPolicy", "Always"),
            run_s=duration_s(notes.get(RUN, ""), self.kit.delays.run),
            exit_code=int(code) if code.isdigit() else 1,
            tell=self._tell(pod),
            where=f"{meta['name']}_{meta['namespace']}({meta['uid']})",
        )

    def _tell(self, pod: Object) -> Told:
        def tell(kind: str, reason: str, message: str) -> None:
            say = self.kit.warn if kind == "Warning" else self.kit.event
            say(pod, reason, message, component=COMPONENT)

        return tell

    # -- what a Pod needs -----------------------------------------------------------------------

    def _may_start(self, pod: Object, run: _PodRun) -> bool:
        """Whether its ConfigMaps and Secrets exist; says so in status and Event when not."""
        if any(c.state != "created" for c in run.containers):
            return True
        missing = self._missing(pod)
        if missing is None:
            if run.blocked:
                run.blocked = ""
                for item in run.containers:
                    item.reason, item.message = "ContainerCreating", ""
            return True
        is_volume, kind, name = missing
        text = f'{kind} "{name}" not found'
        self._blocked.setdefault(pod["metadata"]["namespace"], set()).add(key_of(pod))
        if run.blocked != text:
            run.blocked = text
            if is_volume:
                message = f"MountVolume.SetUp failed: {text}"
                self.kit.warn(pod, "FailedMount", message, component=COMPONENT)
            else:
                for item in self._current(run):
                    item.reason, item.message = "CreateContainerConfigError", text
                self.kit.warn(pod, "Failed", f"Error: {text}", component=COMPONENT)
        return False

    def _missing(self, pod: Object) -> tuple[bool, str, str] | None:
        namespace = pod["metadata"]["namespace"]
        for source in sources_of(pod["spec"]):
            gk = CONFIG_MAP if source[1] == "configmap" else SECRET
            if self.kit.world.get(gk, namespace, source[2]) is None:
                return source
        return None

    def _host_ip(self, pod: Object) -> str:
        node = self.kit.get(NODE, "", pod["spec"]["nodeName"]) or {}
        for address in (node.get("status") or {}).get("addresses") or ():
            if address.get("type") == "InternalIP":
                return str(address["address"])
        return "127.0.0.1"

    def _address(self, pod: Object) -> str:
        """The next free address of 10.244.0.0/16; the node's own for hostNetwork."""
        if pod["spec"].get("hostNetwork"):
            return self._host_ip(pod)
        for _ in range(1 << 16):
            self._next_address = self._next_address % 65_534 + 1
            ip = f"10.244.{self._next_address >> 8}.{self._next_address & 255}"
            if ip not in self._addresses:
                break
        self._addresses.add(ip)
        return ip

    # -- the end --------------------------------------------------------------------------------

    def _stop(self, pod: Object) -> None:
        """Graceful end: `stop` seconds of the grace allowed, then the object goes."""
        run = self._memory(pod)
        now = self.kit.clock.monotonic()
        if run.stop_at is None:
            grace = pod["metadata"].get("deletionGracePeriodSeconds")
            run.stop_at = now + min(self.kit.delays.stop, 30.0 if grace is None else grace)
            for item in run.containers:
                if item.started:
                    message = f"Stopping container {item.name}"
                    self.kit.event(pod, "Killing", message, component=COMPONENT)
        if now < run.stop_at:
            self.queue.add_after(key_of(pod), run.stop_at - now)
            return
        if run.stopped:
            return
        if pod["metadata"].get("finalizers"):
            self._write_stopped(pod, run)
        self.kit.delete(pod, grace=0)
        run.stopped = True

    def _write_stopped(self, pod: Object, run: _PodRun) -> None:
        """A Pod that a finalizer keeps shows that its containers have ended."""
        for item in run.containers:
            if not item.ended:
                item.state, item.reason, item.ready = "ended", "Completed", False
                item.exit_code, item.finished_at = 0, self.kit.now()
        ended = {**pod, "spec": {**pod["spec"], "restartPolicy": "Never"}}
        status = pod_status(
            ended, run.containers, pod_ip=run.ip, host_ip=self._host_ip(pod), now=self.kit.now()
        )
        self.kit.set_status(pod, status, manager=COMPONENT)
