"""Whatever users do to a Deployment, it ends where its spec says, within its limits."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.cluster.simulation import Delays
from trimtab.objects.identity import GroupKind

from .fixtures import cluster, conditions, deployment, set_image

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("image"), st.sampled_from(["web:1", "web:2", "web:3", "web:crash"])),
        st.tuples(st.just("scale"), st.integers(0, 6)),
        st.tuples(st.just("pause"), st.booleans()),
        st.tuples(st.just("kill"), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.sampled_from([0.1, 0.5, 1.0, 5.0])),
    ),
    max_size=12,
)


def _do(world, simulation, step, value):
    if step == "image":
        world.change("Deployment", "web", set_image(value))
    elif step == "scale":
        world.change("Deployment", "web", lambda o: o["spec"].update(replicas=value))
    elif step == "pause":
        world.change("Deployment", "web", lambda o: o["spec"].update(paused=value))
    elif step == "kill" and world.all("Pod"):
        pods = world.all("Pod")
        name = pods[value % len(pods)]["metadata"]["name"]
        world.delete(GroupKind("", "Pod"), "demo", name)
    elif step == "wait":
        simulation.advance(value)


@settings(max_examples=25, deadline=None)
@given(steps=STEPS, surge=st.sampled_from([0, 1, "25%"]), unavailable=st.sampled_from([0, 1]))
def test_a_deployment_always_arrives(steps, surge, unavailable):
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    world, simulation = cluster(deployment(strategy=strategy), delays=Delays())
    for step, value in steps:
        _do(world, simulation, step, value)

    def heal(obj):
        obj["spec"].update(paused=False, replicas=4)
        set_image("web:9")(obj)

    world.change("Deployment", "web", heal)
    simulation.advance(120)
    web = world.one("Deployment", "web")
    status = web["status"]
    assert status["replicas"] == status["updatedReplicas"] == status["availableReplicas"] == 4
    assert status["observedGeneration"] == web["metadata"]["generation"]
    assert conditions(web)["Progressing"] == ("True", "NewReplicaSetAvailable")
    assert {p["spec"]["containers"][0]["image"] for p in world.all("Pod")} == {"web:9"}
    assert len(world.all("Pod")) == 4
    revisions = [
        int(rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"])
        for rs in world.all("ReplicaSet")
    ]
    assert len(set(revisions)) == len(revisions)
