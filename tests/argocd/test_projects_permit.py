"""What a project lets an application read and write."""

from __future__ import annotations

from typing import Any

import pytest

from trimtab.argocd.errors import InvalidSpec
from trimtab.argocd.project import DEFAULT_PROJECT, check_application, permits_kind
from trimtab.objects import GroupKind

URL = "https://github.com/org/repo.git"


def permitted(spec: dict[str, Any], *, repo: str = URL, namespace: str = "prod") -> str:
    try:
        check_application(
            {"spec": spec},
            name="p",
            repos=[repo],
            namespace=namespace,
            home="argocd",
            app_namespace="argocd",
        )
    except InvalidSpec as error:
        return str(error)
    return ""


ANYWHERE = [{"server": "*", "namespace": "*"}]


@pytest.mark.parametrize(
    ("patterns", "url", "allowed"),
    [
        (["*"], URL, True),
        ([], URL, False),
        (["https://github.com/org/*"], URL, True),
        (["https://github.com/*"], URL, False),
        (["https://github.com/**"], URL, True),
        (["https://GitHub.com/org/repo"], URL, True),
        (["https://github.com:443/org/repo"], "https://user@github.com/org/repo", True),
        (["git@github.com:org/*"], "ssh://git@github.com/org/repo.git", True),
        (["https://github.com.evil.org/org/*"], URL, False),
        (["https://github.com/org/*", "!https://github.com/org/repo"], URL, False),
        (["!https://github.com/org/other"], URL, False),
    ],
)
def test_repositories(patterns: list[str], url: str, allowed: bool) -> None:
    answer = permitted({"sourceRepos": patterns, "destinations": ANYWHERE}, repo=url)
    expected = "" if allowed else f"application repo {url} is not permitted in project 'p'"
    assert answer == expected


@pytest.mark.parametrize(
    ("destinations", "allowed"),
    [
        (ANYWHERE, True),
        ([], False),
        ([{"server": "https://kubernetes.default.svc", "namespace": "prod"}], True),
        ([{"name": "in-cluster", "namespace": "prod*"}], True),
        ([{"server": "https://other", "namespace": "*"}], False),
        ([{"server": "*", "namespace": "dev"}], False),
        ([*ANYWHERE, {"server": "*", "namespace": "!prod"}], False),
    ],
)
def test_destinations(destinations: list[dict[str, str]], allowed: bool) -> None:
    answer = permitted({"sourceRepos": ["*"], "destinations": destinations})
    assert (answer == "") is allowed
    if not allowed:
        assert "do not match any of the allowed destinations in project 'p'" in answer


@pytest.mark.parametrize(
    ("spec", "gk", "namespaced", "allowed"),
    [
        (DEFAULT_PROJECT["spec"], GroupKind("", "Namespace"), False, True),
        ({"destinations": ANYWHERE}, GroupKind("", "Namespace"), False, False),
        ({"destinations": ANYWHERE}, GroupKind("apps", "Deployment"), True, True),
        (
            {
                "destinations": ANYWHERE,
                "namespaceResourceBlacklist": [{"group": "", "kind": "ResourceQuota"}],
            },
            GroupKind("", "ResourceQuota"),
            True,
            False,
        ),
        (
            {
                "destinations": ANYWHERE,
                "namespaceResourceWhitelist": [{"group": "apps", "kind": "*"}],
            },
            GroupKind("", "ConfigMap"),
            True,
            False,
        ),
        ({"destinations": []}, GroupKind("apps", "Deployment"), True, False),
    ],
)
def test_kinds(spec: dict[str, Any], gk: GroupKind, namespaced: bool, allowed: bool) -> None:
    answer = permits_kind(
        {"spec": spec}, gk, namespaced=namespaced, namespace="prod" if namespaced else "", name="x"
    )
    assert answer is allowed
