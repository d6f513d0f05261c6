"""What names, labels and annotations may look like, with the API server's own wording.

Every function returns the problems of a text; an empty list means it is fine. Source:
spec/embedded-cluster.md 9 (validation floor).
"""

from __future__ import annotations

import re

__all__ = [
    "dns1035_label_problems",
    "dns1123_label_problems",
    "dns1123_subdomain_problems",
    "env_name_problems",
    "label_key_problems",
    "label_value_problems",
    "path_segment_problems",
    "port_name_problems",
]

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = rf"({_QUALIFIED})?"

_IS_LABEL = re.compile(_LABEL)
_IS_SUBDOMAIN = re.compile(_SUBDOMAIN)
_IS_LABEL_1035 = re.compile(_LABEL_1035)
_IS_QUALIFIED = re.compile(_QUALIFIED)
_IS_VALUE = re.compile(_VALUE)
_IS_PORT_NAME = re.compile(r"[-a-z0-9]+")


def _regex(message: str, pattern: str, *examples: str) -> str:
    shown = " or ".join(f"'{example}'" for example in examples)
    return f"{message} (e.g. {shown}, regex used for validation is '{pattern}')"


def _longer(limit: int) -> str:
    return f"must be no more than {limit} bytes"


def dns1123_subdomain_problems(name: str) -> list[str]:
    """Most object names."""
    problems = [_longer(253)] if len(name) > 253 else []
    if not _IS_SUBDOMAIN.fullmatch(name):
        problems.append(
            _regex(
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters,"
                " '-' or '.', and must start and end with an alphanumeric character",
                _SUBDOMAIN,
                "example.com",
            )
        )
    return problems


def dns1123_label_problems(name: str) -> list[str]:
    """Namespaces, containers, volumes."""
    problems = [_longer(63)] if len(name) > 63 else []
    if not _IS_LABEL.fullmatch(name):
        problems.append(
            _regex(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or"
                " '-', and must start and end with an alphanumeric character",
                _LABEL,
                "my-name",
                "123-abc",
            )
        )
    return problems


def dns1035_label_problems(name: str) -> list[str]:
    """Services."""
    problems = [_longer(63)] if len(name) > 63 else []
    if not _IS_LABEL_1035.fullmatch(name):
        problems.append(
            _regex(
                "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start"
                " with an alphabetic character, and end with an alphanumeric character",
                _LABEL_1035,
                "my-name",
                "abc-123",
            )
        )
    return problems


def path_segment_problems(name: str) -> list[str]:
    """RBAC names: anything that can stand in a path."""
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{char}'" for char in ("/", "%") if char in name]


def label_key_problems(key: str) -> list[str]:
    """A label's or annotation's key: `[prefix/]name`."""
    prefix, slash, name = key.rpartition("/")
    problems = []
    if "/" in prefix:
        return [
            _regex(
                "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and"
                " must start and end with an alphanumeric character",
                _QUALIFIED,
                "MyName",
                "my.name",
                "123-abc",
            )
            + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    if slash:
        if not prefix:
            problems.append("prefix part must be non-empty")
        else:
            problems += [f"prefix part {each}" for each in dns1123_subdomain_problems(prefix)]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append("name part " + _longer(63))
    if not _IS_QUALIFIED.fullmatch(name):
        problems.append(
            _regex(
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must start"
                " and end with an alphanumeric character",
                _QUALIFIED,
                "MyName",
                "my.name",
                "123-abc",
            )
        )
    return problems


def label_value_problems(value: str) -> list[str]:
    """A label's value."""
    problems = [_longer(63)] if len(value) > 63 else []
    if not _IS_VALUE.fullmatch(value):
        problems.append(
            _regex(
                "a valid label must be an empty string or consist of alphanumeric characters, '-',"
                " '_' or '.', and must start and end with an alphanumeric character",
                _VALUE,
                "MyValue",
                "my_value",
                "12345",
            )
        )
    return problems


def env_name_problems(name: str) -> list[str]:
    """An environment variable: printable ASCII without `=`."""
    if re.fullmatch(r"[ -<>-~]+", name):
        return []
    rule = "a valid environment variable name must consist only of printable ASCII characters"
    return [f"{rule} other than '='"]


def port_name_problems(name: str) -> list[str]:
    """A container port's name (IANA service name)."""
    problems = []
    if len(name) > 15:
        problems.append("must be no more than 15 characters")
    if not _IS_PORT_NAME.fullmatch(name):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", name):
        problems.append("must contain at least one letter (a-z)")
    if "--" in name:
        problems.append("must not contain consecutive hyphens")
    if name.startswith("-") or name.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems
