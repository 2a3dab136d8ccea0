"""YAML, as far as it says what JSON can say; read piece by piece, by libyaml where PyYAML has it.

A time stays a text. A key that stands twice, an alias and a tag are refused: an alias could make a circle, or a small
text huge.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, TextIO

import yaml

__all__ = ["UNREADABLE", "YamlReader", "told"]

UNREADABLE = (yaml.YAMLError, ValueError, TypeError, RecursionError)
"""What reading ends with where there is no YAML that JSON could say."""

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TYPES = yaml.SafeLoader("")
_CORE = "tag:yaml.org,2002:"
_SCALARS = {f"{_CORE}{name}" for name in ("null", "bool", "int", "float")}


class YamlReader:
    """Reads YAML event by event, and goes on after what is to be refused although it can be read.

    Args:
        stream: the text, or what gives it.

    Attributes:
        line: where the row begins that was read last, or is being read.
        complaint: the first that is to be refused in that row, if anything is.
    """

    def __init__(self, stream: str | TextIO) -> None:
        self.line = 1
        self.complaint: yaml.MarkedYAMLError | None = None
        self._parser = _PARSER(stream)

    def document(self) -> Any:
        """Read a text that is one document; an empty one is ``None``.

        Raises:
            yaml.YAMLError: it is none, or holds what is refused. So do others of `UNREADABLE`.
        """
        value = None
        for number, event in enumerate(self._documents()):
            if number:
                self._complain("a second document", event)
            else:
                value = self._value(event)
            if self.complaint:
                raise self.complaint
        return value

    def rows(self) -> Iterator[Any]:
        """Read a list, or several documents, item by item.

        Raises:
            yaml.YAMLError: there is no YAML from here on. So do others of `UNREADABLE`.
        """
        for document in self._documents():
            several = isinstance(document, yaml.SequenceStartEvent)
            if several and document.tag not in (None, "!", f"{_CORE}seq"):
                raise yaml.MarkedYAMLError(problem="a tag", problem_mark=document.start_mark)
            for event in self._until(yaml.SequenceEndEvent) if several else (document,):
                self.complaint = None
                self.line = event.start_mark.line + 1
                value = self._value(event)
                if several or not _is_nothing(event):
                    yield value

    def _documents(self) -> Iterator[Any]:
        """Give the event that each document begins with."""
        for event in self._until(yaml.StreamEndEvent):
            if isinstance(event, yaml.DocumentStartEvent):
                yield self._parser.get_event()

    def _until(self, end: type[yaml.Event]) -> Iterator[Any]:
        get = self._parser.get_event
        while (event := get()).__class__ is not end:
            yield event

    def _value(self, event: Any) -> Any:
        """Read what an event begins."""
        kind = event.__class__
        if kind is yaml.ScalarEvent:
            return self._scalar(event)
        if kind is yaml.AliasEvent:
            return self._complain("an alias", event)
        is_mapping = kind is yaml.MappingStartEvent
        if event.tag not in (None, "!", f"{_CORE}map" if is_mapping else f"{_CORE}seq"):
            self._refuse_tag(event)
        return self._mapping() if is_mapping else [self._value(item) for item in self._until(yaml.SequenceEndEvent)]

    def _mapping(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for event in self._until(yaml.MappingEndEvent):
            name: Any = event.value if event.__class__ is yaml.ScalarEvent else None
            if name is None:
                self._value(event)
                self._complain("a key that is no text", event)
            elif name in found:
                self._complain(f"{name!r} twice", event)
            found[name] = self._value(self._parser.get_event())
        return found

    def _scalar(self, event: Any) -> Any:
        text, tag = event.value, event.tag
        if tag is None:
            return _plain(text) if event.implicit[0] else text
        if tag in _SCALARS:
            return _typed(tag, text)
        if tag not in ("!", f"{_CORE}str"):
            self._refuse_tag(event)
        return text

    def _refuse_tag(self, event: Any) -> None:
        if event.tag in yaml.SafeLoader.yaml_constructors:
            raise TypeError  # of YAML's own types, such as a set, which JSON does not have
        self._complain("a tag", event)

    def _complain(self, what: str, event: Any) -> None:
        self.complaint = self.complaint or yaml.MarkedYAMLError(problem=what, problem_mark=event.start_mark)


def _is_nothing(event: Any) -> bool:
    """Tell whether there is nothing at all between two lines of ``---``."""
    return isinstance(event, yaml.ScalarEvent) and event.value == "" and event.implicit[0]


@functools.lru_cache(4096)
def _plain(text: str) -> Any:
    """Read a scalar without quotes; those of many documents are the same."""
    tag = _TYPES.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # of PyYAML's stubs
    return _typed(tag, text) if tag in _SCALARS else text


def _typed(tag: str, text: str) -> Any:
    return yaml.SafeLoader.yaml_constructors[tag](_TYPES, yaml.ScalarNode(tag, text))


def told(error: Exception) -> tuple[str, int, int]:
    """Tell why a text is no YAML.

    Returns:
        What is wrong, without a word of the text; the line and the column, 0 if they are not known.
    """
    if not isinstance(error, yaml.MarkedYAMLError):
        return f"no usable YAML: {type(error).__name__}", 0, 0
    place = error.problem_mark or error.context_mark
    why, _, _ = (error.problem or error.context or "").partition(" handle ")  # that of a tag would be quoted
    return f"no YAML: {why}", place.line + 1 if place else 0, place.column + 1 if place else 0
