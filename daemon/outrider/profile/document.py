"""YAML and JSON texts to a plain tree that remembers lines. Bounded in size and depth; no tags, no duplicate keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from outrider.errors import ProfileError

MAX_CHARS: Final = 16 * 1024 * 1024
MAX_DEPTH: Final = 60
MAX_NODES: Final = 500_000

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the document: ``dict[str, Node]``, ``list[Node]`` or a scalar. line: 1-based, None in JSON."""

    value: Any
    line: int | None

    def items(self) -> Iterator[tuple[str, Node]]:
        """Key and value pairs of a mapping; nothing for anything else."""
        return iter(self.value.items() if isinstance(self.value, dict) else ())

    def plain(self) -> Any:
        """Without lines."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def read_document(text: str, file: str) -> Node:
    """JSON when the file name or the first character says so, else YAML. Raises ProfileError with the line."""
    if len(text) > MAX_CHARS:
        raise ProfileError(f"more than {MAX_CHARS} characters; split the file", path=file)
    if file.endswith(".json") or text.lstrip()[:1] == "{":
        return _read_json(text, file)
    return _read_yaml(text, file)


class _Builder:
    """Counts what it builds, so that references cannot blow a small file up."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.count = 0

    def step(self, depth: int, line: int | None) -> None:
        self.count += 1
        if depth > MAX_DEPTH:
            raise ProfileError(f"nested deeper than {MAX_DEPTH} levels", path=self.file, line=line)
        if self.count > MAX_NODES:
            raise ProfileError(f"more than {MAX_NODES} values", path=self.file, line=line)

    def fail_twice(self, key: str, line: int | None) -> ProfileError:
        return ProfileError(f"{key} appears twice; keep one of the two", path=self.file, line=line)


def _read_json(text: str, file: str) -> Node:
    builder = _Builder(file)

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in items:
            if key in found:
                raise builder.fail_twice(key, None)
            found[key] = value
        return found

    try:
        value = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as err:
        raise ProfileError(f"no valid JSON: {err.msg}", path=file, line=err.lineno) from None
    except (RecursionError, ValueError) as err:
        if isinstance(err, ProfileError):
            raise
        raise ProfileError("no valid JSON: nested too deeply or a number is too long", path=file) from None
    return _wrap(value, 0, builder)


def _wrap(value: Any, depth: int, builder: _Builder) -> Node:
    builder.step(depth, None)
    if isinstance(value, dict):
        return Node({key: _wrap(item, depth + 1, builder) for key, item in value.items()}, None)
    if isinstance(value, list):
        return Node([_wrap(item, depth + 1, builder) for item in value], None)
    return Node(value, None)


def _read_yaml(text: str, file: str) -> Node:
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return Node({}, 1)
        return _convert(root, loader, 0, _Builder(file))
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        line = mark.line + 1 if mark is not None else None
        raise ProfileError(f"no valid YAML: {err.problem or err.context}", path=file, line=line) from None
    except yaml.YAMLError as err:
        raise ProfileError(f"no valid YAML: {str(err).splitlines()[0]}", path=file) from None
    except RecursionError:
        raise ProfileError("no valid YAML: nested too deeply", path=file) from None
    except (ValueError, TypeError, OverflowError) as err:
        if isinstance(err, ProfileError):
            raise
        raise ProfileError(f"no valid YAML: {err}", path=file) from None


def _convert(node: yaml.Node, loader: Any, depth: int, builder: _Builder) -> Node:
    line = node.start_mark.line + 1
    builder.step(depth, line)
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Node] = {}
        for key_node, value_node in node.value:
            key = str(loader.construct_object(key_node)) if isinstance(key_node, yaml.ScalarNode) else None
            at = key_node.start_mark.line + 1
            if key is None:
                raise ProfileError("a key must be a plain word", path=builder.file, line=at)
            if key in found:
                raise builder.fail_twice(key, at)
            found[key] = _convert(value_node, loader, depth + 1, builder)
        return Node(found, line)
    if isinstance(node, yaml.SequenceNode):
        return Node([_convert(item, loader, depth + 1, builder) for item in node.value], line)
    return Node(loader.construct_object(node), line)
