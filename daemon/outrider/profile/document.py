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
        return _YamlBuilder(_Loader(text), file).document()
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        line = mark.line + 1 if mark is not None else None
        raise ProfileError(f"no valid YAML: {err.problem or err.context}", path=file, line=line) from None
    except yaml.YAMLError as err:
        raise ProfileError(f"no valid YAML: {str(err).splitlines()[0]}", path=file) from None
    except (ValueError, TypeError, OverflowError) as err:
        if isinstance(err, ProfileError):
            raise
        raise ProfileError(f"no valid YAML: {err}", path=file) from None


class _Open:
    """A mapping or sequence that is being read."""

    __slots__ = ("anchor", "before", "items", "key", "line")

    def __init__(self, items: dict[str, Node] | list[Node], line: int, anchor: str | None, before: int) -> None:
        self.items = items
        self.line = line
        self.anchor = anchor
        self.before = before  # nodes counted before this one
        self.key: str | None = None


class _YamlBuilder:
    """Builds the tree from events, with a stack of its own: the composer of libyaml recurses without limit and brings
    the process down on a file of a few thousand brackets."""

    def __init__(self, loader: Any, file: str) -> None:
        self._loader = loader
        self._count = _Builder(file)
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}  # and the number of nodes it stands for
        self._root: Node | None = None

    def document(self) -> Node:
        loader = self._loader
        while loader.check_event():
            event = loader.get_event()
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent) and self._root is not None:
                raise ProfileError("more than one document; keep one", path=self._count.file, line=line)
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event, line)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                self._open(event, line)
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                self._close()
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event, line)
        return self._root if self._root is not None else Node({}, 1)

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        value = self._loader.construct_object(yaml.ScalarNode(tag, event.value))
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.items, dict) and top.key is None:
            self._key(top, str(value), line)
            return
        self._count.step(len(self._stack), line)
        self._add(Node(value, line), event.anchor, 1, line)

    def _key(self, top: _Open, key: str, line: int) -> None:
        if key in top.items:
            raise self._count.fail_twice(key, line)
        top.key = key

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, line: int) -> None:
        if event.tag not in (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            raise ProfileError(f"the tag {event.tag} is not supported", path=self._count.file, line=line)
        self._value_place(line)
        self._count.step(len(self._stack) + 1, line)
        items: dict[str, Node] | list[Node] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._stack.append(_Open(items, line, event.anchor, self._count.count - 1))

    def _value_place(self, line: int) -> None:
        if self._stack and isinstance(self._stack[-1].items, dict) and self._stack[-1].key is None:
            raise ProfileError("a key must be a plain word", path=self._count.file, line=line)

    def _close(self) -> None:
        done = self._stack.pop()
        self._add(Node(done.items, done.line), done.anchor, self._count.count - done.before, done.line)

    def _alias(self, event: yaml.AliasEvent, line: int) -> None:
        self._value_place(line)
        found = self._anchors.get(event.anchor or "")
        if found is None:
            raise ProfileError(f"*{event.anchor} refers to nothing before it", path=self._count.file, line=line)
        node, size = found
        self._count.count += size - 1
        self._count.step(len(self._stack) + _depth(node), line)
        self._add(node, None, size, line)

    def _add(self, node: Node, anchor: str | None, size: int, line: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = node, size
        if not self._stack:
            self._root = node
            return
        top = self._stack[-1]
        if isinstance(top.items, list):
            top.items.append(node)
            return
        assert top.key is not None, line
        top.items[top.key] = node
        top.key = None


def _depth(node: Node) -> int:
    """Levels below a node; recursion is bounded, since every node was checked against MAX_DEPTH when it was made."""
    children = (
        node.value.values() if isinstance(node.value, dict) else node.value if isinstance(node.value, list) else ()
    )
    return 1 + max(map(_depth, children), default=0)
