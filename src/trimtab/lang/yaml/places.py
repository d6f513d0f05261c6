"""Where a value stands in its file: for messages only, so the text is parsed a second time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml
from yaml.nodes import MappingNode, ScalarNode, SequenceNode

__all__ = ["place"]


def place(
    data: bytes | str, path: Sequence[str | int], *, document: int = 0, key: bool = True
) -> tuple[int, int]:
    """(line, column), from 1, of the value at `path`; of its key with `key`. The nearest parent
    that exists stands in for a missing one; (0, 0) when the text cannot be parsed."""
    text = data.decode("utf-8-sig", errors="replace") if isinstance(data, bytes) else data
    try:
        nodes = list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError:
        return 0, 0
    if document >= len(nodes) or nodes[document] is None:
        return 0, 0
    node: Any = nodes[document]
    mark = node.start_mark
    for step in path:
        found: Any = None
        if isinstance(node, MappingNode):
            for key_node, value_node in node.value:
                if isinstance(key_node, ScalarNode) and key_node.value == step:
                    found = value_node
                    mark = key_node.start_mark if key else value_node.start_mark
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
            found = node.value[step]
            mark = found.start_mark
        if found is None:
            break
        node = found
    return mark.line + 1, mark.column + 1
