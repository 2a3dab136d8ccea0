"""The file of a manifest, and its rows one after another, from YAML, JSON, JSON Lines or CSV.

A row is held in memory, and the file never is. What cannot be read is told by its line, and reading goes on wherever it
is plain where the next row begins.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, TextIO

from migrate_core._reading import JsonReader, parse_document
from migrate_core.errors import InvalidArgumentError
from migrate_core.fleet._row import LONGEST, TOO_LONG, Row, lines_of
from migrate_core.fleet._sheet import sheet_rows

__all__ = ["ManifestFile"]

_CHUNK = 1 << 16


class ManifestFile:
    """A manifest's file, while it is read once; a context manager.

    Args:
        path: the file.

    Raises:
        InvalidArgumentError: it cannot be read, or its ending is none of a manifest.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() not in _READERS:
            raise InvalidArgumentError(f"{path} is no manifest; the endings of manifests are {', '.join(_READERS)}")
        self._path = path
        self._read = _READERS[path.suffix.lower()]
        self._documents = hashlib.sha256()
        try:
            self._bytes = _Digesting(_file(path))
        except OSError as error:
            raise InvalidArgumentError(f"{path} cannot be read: {error.strerror}") from None
        newline = "" if self._read is sheet_rows else None  # the csv module finds the ends of lines itself
        self._text = io.TextIOWrapper(io.BufferedReader(self._bytes, _CHUNK), encoding="utf-8-sig", newline=newline)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()

    def rows(self) -> Iterator[Row]:
        """Read the rows; ends early where nobody can tell any more where a row begins."""
        try:
            yield from self._read(self._text)
        except UnicodeDecodeError:
            yield Row(_first_line_that_is_no_text(self._path), None, "is no text in UTF-8")

    def document(self, name: str) -> Any:
        """Read a document that a row names.

        Raises:
            InvalidArgumentError: it cannot be read.
        """
        try:
            content = _file(self._path.parent / name).read_bytes()
        except OSError as error:
            raise InvalidArgumentError(f"{name} cannot be read: {error.strerror}") from None
        if len(content) > LONGEST:
            raise InvalidArgumentError(f"{name} {TOO_LONG}")
        self._documents.update(hashlib.sha256(content).digest())
        return parse_document(content, name)

    def digest(self) -> str:
        """Give the SHA-256 of what was read; if that named documents, of all their digests after it."""
        whole = self._bytes.digest.copy()
        if self._documents.digest() != hashlib.sha256().digest():
            whole.update(self._documents.digest())
        return whole.hexdigest()


class _Digesting(io.FileIO):
    """A file that digests what is read of it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.digest = hashlib.sha256()

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        self.digest.update(memoryview(buffer)[:count])
        return count


def _file(path: Path) -> Path:
    """Refuse what cannot be read twice, such as a pipe."""
    if not path.is_file():
        raise InvalidArgumentError(f"there is no file {str(path)!r}")
    return path


def _first_line_that_is_no_text(path: Path) -> int:
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            try:
                line += decoder.decode(chunk).count("\n")
            except UnicodeDecodeError as error:
                return line + error.object[: error.start].count(b"\n")
    return line


# YAML


def _yaml_rows(file: TextIO) -> Iterator[Row]:
    from migrate_core._yaml import UNREADABLE, YamlReader, told

    reader = YamlReader(file)
    try:
        for content in reader.rows():
            if reader.complaint:
                why, line, column = told(reader.complaint)
                yield Row(line, None, f"is {why} at column {column}")
            else:
                yield Row(reader.line, content)
    except UnicodeDecodeError:
        raise
    except UNREADABLE as error:
        why, line, column = told(error)
        yield Row(line or reader.line, None, f"is {why}" + (f" at column {column}" if column else ""))


# JSON


def _json_lines(file: TextIO) -> Iterator[Row]:
    reader = JsonReader()
    for number, line in enumerate(lines_of(file), 1):
        if len(line) > LONGEST:
            yield Row(number, None, TOO_LONG)
            return
        if line.isspace():
            continue
        try:
            content = reader.decode(line)
        except json.JSONDecodeError as error:
            yield Row(number, None, f"is no JSON: {error.msg} at column {error.colno}")
        except (ValueError, RecursionError) as error:
            yield Row(number, None, f"is no usable JSON: {error}")
        else:
            yield _unless_refused(reader, number, content)


def _unless_refused(reader: JsonReader, line: int, content: Any) -> Row:
    return Row(line, None, f"is no usable JSON: {reader.complaint}") if reader.complaint else Row(line, content)


class _NoJson(Exception):
    """There is no JSON at some place; its arguments are the line, and why."""


def _json_array(file: TextIO) -> Iterator[Row]:
    text, reader = _Window(file), JsonReader()
    try:
        text.take("[", "a manifest in JSON is an array; one row a line is for a file that ends with .jsonl")
        more = text.next() != "]"
        while more:
            line = text.line
            yield _unless_refused(reader, line, text.value(reader))
            more = text.next() != "]"
            if more:
                text.take(",", "Expecting ',' or ']'")
                text.next()
        text.take("]", "")
        if text.next():
            raise _NoJson(text.line, "Extra data")
    except _NoJson as error:
        yield Row(error.args[0], None, f"is no JSON: {error.args[1]}")


class _Window:
    """The part of a text that is being read; what was read before is forgotten.

    Attributes:
        line: the line of what comes next.
    """

    def __init__(self, file: TextIO) -> None:
        self.line = 1
        self._file = file
        self._text = ""
        self._at = 0
        self._forgotten = 0

    def next(self) -> str:
        """Pass over blanks; give the character that comes next, an empty text at the end."""
        while True:
            self._go_to(_first_but_blanks(self._text, self._at))
            if self._at < len(self._text) or not self._read_on():
                return self._text[self._at : self._at + 1]

    def take(self, wanted: str, otherwise: str) -> None:
        """Pass over a character.

        Raises:
            _NoJson: another one comes next, and `otherwise` says what that means.
        """
        if self.next() != wanted:
            raise _NoJson(self.line, otherwise)
        self._at += 1

    def value(self, reader: JsonReader) -> Any:
        """Read the value that comes next.

        Raises:
            _NoJson: none does.
        """
        while True:
            failure: Exception | None = None
            try:
                value, end = reader.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                failure, end = error, len(self._text)
            # What ends where the text ends may go on after it.
            if end < len(self._text) or len(self._text) - self._at > LONGEST or not self._read_on():
                break
        if failure is not None:
            raise self._told(failure) from None
        self._go_to(end)
        return value

    def _told(self, failure: Exception) -> _NoJson:
        if len(self._text) - self._at > LONGEST:
            return _NoJson(self.line, f"a row {TOO_LONG}, or does not end")
        if not isinstance(failure, json.JSONDecodeError):
            return _NoJson(self.line, str(failure))
        lines = self._text.count("\n", self._at, failure.pos)
        return _NoJson(self.line + lines, f"{failure.msg} at character {self._forgotten + failure.pos + 1}")

    def _go_to(self, place: int) -> None:
        self.line += self._text.count("\n", self._at, place)
        self._at = place

    def _read_on(self) -> bool:
        """Read some more; tell whether there was more."""
        more = self._file.read(_CHUNK)
        if more:
            self._forgotten += self._at
            self._text, self._at = self._text[self._at :] + more, 0
        return bool(more)


def _first_but_blanks(text: str, at: int) -> int:
    found = _NO_BLANK.search(text, at)
    return found.start() if found else len(text)


_NO_BLANK = re.compile(r"[^ \t\r\n]")

_READERS: dict[str, Callable[[TextIO], Iterator[Row]]] = {
    ".yaml": _yaml_rows,
    ".yml": _yaml_rows,
    ".json": _json_array,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": sheet_rows,
}
