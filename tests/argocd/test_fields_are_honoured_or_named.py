"""Options, projects, hooks, credentials and the build environment: honoured, or said aloud."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from trimtab.argocd import crds
from trimtab.argocd.application_spec import read_spec
from trimtab.argocd.build_environment import environment, substitute
from trimtab.argocd.credentials import credentials_for
from trimtab.argocd.errors import InvalidSpec
from trimtab.argocd.globs import matches
from trimtab.argocd.hooks import not_run
from trimtab.argocd.options import approved, parse_options, without_effect
from trimtab.argocd.project import check_application, permits_kind
from trimtab.argocd.project import without_effect as project_without_effect
from trimtab.objects import GroupKind


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("Validate=false", True),
        ("Validate=true", False),
        ("ServerSideApply=true", False),
        ("ServerSideApply=false", True),
        ("ClientSideApplyMigration=false", False),
        ("ClientSideApplyMigration=true", True),
        ("RespectIgnoreDifferences=true", True),
        ("Prune=confirm", False),
        ("Delete=false", False),
        ("FailOnSharedResource=true", False),
        ("Prune=perhaps", True),
    ],
)
def test_an_option_without_effect_is_named(option: str, named: bool) -> None:
    assert parse_options([option]).unsupported == ((option,) if named else ())


def test_options_of_an_object_that_only_applications_have_are_named() -> None:
    note = {"argocd.argoproj.io/sync-options": "Prune=confirm, Force=true,Wings=1"}
    assert without_effect({"metadata": {"annotations": note}}) == ("Wings=1", "Force=true")


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("2026-01-01T10:00:00Z", True),
        ("2026-01-01T10:00:01+00:00", True),
        ("2026-01-01T09:59:59Z", False),
        ("2026-01-01T10:00:01", False),
        ("true", False),
        ("", False),
    ],
)
def test_only_an_approval_given_since_then_counts(value: str, good: bool) -> None:
    app = {"metadata": {"annotations": {"argocd.argoproj.io/deletion-approved": value}}}
    assert approved(app, "2026-01-01T10:00:00Z") is good


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("syncWindows", [{"kind": "deny"}]),
        ("signatureKeys", [{"keyID": "4AEE18F83AFDEB23"}]),
        ("permitOnlyProjectScopedClusters", True),
    ],
)
def test_restrictions_of_a_project_that_are_not_enforced_refuse(field: str, value: Any) -> None:
    project = {
        "metadata": {"name": "p"},
        "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]},
    }
    arguments: dict[str, Any] = {
        "name": "p",
        "repos": ["https://example.org/a"],
        "namespace": "demo",
        "home": "argocd",
        "app_namespace": "argocd",
    }
    check_application(project, **arguments)
    with pytest.raises(InvalidSpec, match=rf"spec\.{field}, which is not supported yet"):
        check_application({"spec": {**project["spec"], field: value}}, **arguments)


def test_impersonation_that_would_not_happen_refuses_and_accounts_alone_are_named() -> None:
    spec = {"destinationServiceAccounts": [{"server": "*"}], "roles": [{"name": "r"}]}
    with pytest.raises(InvalidSpec, match="impersonation"):
        check_application(
            {"spec": spec},
            name="p",
            repos=[],
            namespace="demo",
            home="argocd",
            app_namespace="argocd",
            impersonates=True,
        )
    project = {"metadata": {"name": "p"}, "spec": {**spec, "orphanedResources": {"warn": True}}}
    assert project_without_effect(project) == [
        "AppProject p: spec.destinationServiceAccounts",
        "AppProject p: spec.orphanedResources",
    ]


def test_an_empty_whitelist_permits_nothing() -> None:
    spec = {"destinations": [{"server": "*", "namespace": "*"}], "namespaceResourceWhitelist": []}
    gk = GroupKind("", "ConfigMap")
    assert not permits_kind({"spec": spec}, gk, namespaced=True, namespace="demo", name="a")


@pytest.mark.parametrize(
    ("pattern", "value", "good"),
    [
        ("team-{a,b}", "team-b", True),
        ("team-{a,b}", "team-c", False),
        ("team-[a-c]", "team-b", True),
        ("team-[!a-c]", "team-b", False),
        ("team-[!a-c]", "team-d", True),
        ("{a,b*}-x", "bcd-x", True),
        ("team-[a", "team-a", False),
        ("team-{a", "team-a", False),
        ("a.c", "abc", False),
        (r"\*", "*", True),
        (r"\*", "x", False),
    ],
)
def test_globs(pattern: str, value: str, good: bool) -> None:
    assert matches(pattern, value) is good


def test_sets_and_stars_stop_at_the_separator() -> None:
    assert not matches("a/[!x]b", "a//b", separator="/")
    assert not matches("a/*", "a/b/c", separator="/")
    assert matches("a/**", "a/b/c", separator="/")


def test_kinds_without_a_controller_are_not_installed() -> None:
    assert {crd["spec"]["names"]["kind"] for crd in crds()} == {"Application", "AppProject"}


@pytest.mark.parametrize(
    ("meta", "part"),
    [
        ({"name": "h", "annotations": {"argocd.argoproj.io/hook": "SyncFail"}}, "Job/h: SyncFail"),
        ({"name": "h", "annotations": {"helm.sh/hook": "pre-delete"}}, "Job/h: PreDelete"),
        ({"generateName": "h-", "annotations": {"argocd.argoproj.io/hook": "Sync"}}, "Job/h-"),
        (
            {
                "name": "h",
                "annotations": {"argocd.argoproj.io/hook": "Sync"},
                "finalizers": ["argocd.argoproj.io/hook-finalizer"],
            },
            "hook-finalizer",
        ),
    ],
)
def test_hooks_that_are_not_run_are_named(meta: dict[str, Any], part: str) -> None:
    assert part in not_run({"kind": "Job", "metadata": meta})


def test_ordinary_hooks_are_not_warned_of() -> None:
    meta = {"name": "h", "annotations": {"argocd.argoproj.io/hook": "PreSync,PostSync"}}
    assert not_run({"kind": "Job", "metadata": meta}) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$ARGOCD_APP_NAME", "web"),
        ("${ARGOCD_APP_NAMESPACE}-x", "demo-x"),
        ("$ARGOCD_APP_PROJECT_NAME", "default"),
        ("$ARGOCD_APP_REVISION", "0123456789abcdef"),
        ("$ARGOCD_APP_REVISION_SHORT", "0123456"),
        ("$ARGOCD_APP_REVISION_SHORT_8", "01234567"),
        ("$ARGOCD_APP_SOURCE_PATH", "app"),
        ("$ARGOCD_APP_SOURCE_REPO_URL", "https://example.org/a"),
        ("$ARGOCD_APP_SOURCE_TARGET_REVISION", "main"),
        ("$KUBE_VERSION", "1.37.0"),
        ("$KUBE_API_VERSIONS", "v1,apps/v1"),
        ("$$ARGOCD_APP_NAME", "$ARGOCD_APP_NAME"),
        ("$UNKNOWN", ""),
        ("$(LATER) costs 5$", "$(LATER) costs 5$"),
    ],
)
def test_the_build_environment(text: str, expected: str) -> None:
    source = {"repoURL": "https://example.org/a", "path": "app", "targetRevision": "main"}
    app = {"metadata": {"name": "web"}, "spec": {"destination": {"namespace": "demo"}}}
    env = environment(
        app,
        source,
        revision="0123456789abcdef",
        kube_version="v1.37.0",
        api_versions=("v1", "apps/v1"),
    )
    assert substitute(text, env) == expected


def _secret(kind: str, name: str, **data: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"argocd.argoproj.io/secret-type": kind}},
        "data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()},
    }


def test_the_exact_repository_wins_then_the_longest_prefix_on_the_same_host() -> None:
    secrets = [
        _secret("repo-creds", "host", url="https://a.example", username="host"),
        _secret("repo-creds", "org", url="https://a.example/org", username="org"),
        _secret("repository", "one", url="https://A.example/org/one.git", username="one"),
        _secret("repository", "bare", url="https://a.example/org/bare"),
        _secret("repository", "theirs", url="https://a.example/p", username="p", project="q"),
        _secret("cluster", "other", url="https://b.example", username="never"),
    ]

    def user(url: str, project: str = "default") -> str:
        found = credentials_for(secrets, url, project=project)
        return found.username if found else ""

    assert user("https://a.example/org/one") == "one"
    assert user("https://a.example/org/two") == "org"
    assert user("https://a.example/org/bare") == "org"
    assert user("https://a.example/else") == "host"
    assert user("https://a.example/p") == "host"
    assert user("https://a.example/p", "q") == "p"
    assert user("https://a.example.evil.org/org/one") == ""
    assert user("http://a.example/org/one") == ""
    assert user("https://b.example/x") == ""


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ({"helm": {"version": "v3"}}, "spec.source.helm.version"),
        ({"kustomize": {"forceCommonLabels": True}}, "spec.source.kustomize.forceCommonLabels"),
        ({"kustomize": {"kubeVersion": "1.30"}}, "spec.source.kustomize.kubeVersion"),
    ],
)
def test_fields_of_a_source_without_effect_are_named(source: dict[str, Any], field: str) -> None:
    assert field in read_spec(_application(source)).unsupported


def test_the_section_that_is_filled_decides_the_type_and_two_are_refused() -> None:
    spec = read_spec(_application({"helm": {"releaseName": "x"}}))
    assert spec.intent.render.engine == "helm"
    assert read_spec(_application({})).intent.render.engine == "auto"
    both = {"helm": {"releaseName": "x"}, "kustomize": {"namePrefix": "y-"}}
    with pytest.raises(InvalidSpec, match="multiple application sources defined"):
        read_spec(_application(both))


def test_what_only_the_server_could_compare_is_named() -> None:
    app = _application({})
    key = "argocd.argoproj.io/compare-options"
    app["metadata"]["annotations"] = {key: "ServerSideDiff=true,IgnoreExtraneous"}
    assert read_spec(app).unsupported == ("compare-options: ServerSideDiff=true",)


def _application(source: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "namespace": "argocd"},
        "spec": {
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "n"},
            "source": {"repoURL": "https://example.com/r.git", "path": "app", **source},
        },
    }
