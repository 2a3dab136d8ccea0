"""Manifests: the orders of a fleet run as a person wrote them, in YAML, JSON, JSON Lines or CSV.

A manifest is checked whole before anything of it is carried out: each row is read, and the provider makes the first
request of its operation, which is not sent. Neither checking it nor reading its orders holds the file in memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import attrs

from migrate_core._connect import connect
from migrate_core._json import MOST_DEPTH
from migrate_core.client import Client
from migrate_core.errors import (
    Fault,
    IncompleteDocumentWarning,
    InvalidArgumentError,
    InvalidDocumentError,
    MigrateError,
    UnsupportedOperationError,
    UnsupportedOptionError,
)
from migrate_core.fleet._row import FIELDS, OPERATIONS, SPECS, Row, meant, operation_named
from migrate_core.fleet._rows import ManifestFile
from migrate_core.fleet.models import Order
from migrate_core.models import _is_secret
from migrate_core.operations import Operation
from migrate_core.secrets import discreet

__all__ = ["Manifest", "read_manifest"]

_MOST_FAULTS = 300
"""How many are told one by one; of more, only how many there are."""
_LONGEST_KEY = 128


@attrs.frozen(kw_only=True)
class Manifest:
    """A manifest without faults, whose orders are still in its file.

    Attributes:
        path: its file.
        name: name of the file.
        digest: SHA-256 of its bytes, in hexadecimal digits; if it names documents, of theirs as well.
        total: how many orders it has.
        counts: how many there are of each profile, its provider, and operation.
    """

    path: Path
    name: str
    digest: str
    total: int
    counts: Mapping[tuple[str, str, Operation], int]

    def orders(self) -> Iterator[Order]:
        """Read the orders from the file, one after another.

        Raises:
            InvalidArgumentError: the manifest, or a document that it names, was changed after it was checked; this may
                come after the last order.
        """
        changed = InvalidArgumentError(f"{self.path} was changed after it was checked")
        with ManifestFile(self.path) as file:
            for row in file.rows():
                try:
                    order = _order(row, file)
                except InvalidDocumentError:
                    raise changed from None
                yield order
            if file.digest() != self.digest:
                raise changed


@discreet
def read_manifest(path: str | os.PathLike[str], *, clients: Mapping[str, Client] | None = None) -> Manifest:
    """Check a whole manifest; nothing is sent.

    Args:
        path: its file, whose ending says what it is: ``.yaml`` or ``.yml``, ``.json``, ``.jsonl`` or ``.ndjson``,
            ``.csv``.
        clients: clients by the names of their profiles; for other profiles, clients are made and closed again.

    Raises:
        InvalidDocumentError: it has faults. All are listed, each with its line; of very many, the first ones and how
            many more there are.
        InvalidArgumentError: it is no file that can be read.
    """
    path = Path(path)
    with _Check(clients or {}) as check, ManifestFile(path) as file:
        for row in file.rows():
            check.row(row, file)
        digest = file.digest()
    check.raise_faults()
    return Manifest(path=path, name=path.name, digest=digest, total=check.total, counts=dict(check.counts))


class _Check:
    """Checks row after row, with a client for each profile; a context manager that closes those that it made.

    Attributes:
        total: how many rows there were.
        counts: how many orders there are of each kind.
    """

    def __init__(self, clients: Mapping[str, Client]) -> None:
        self.total = 0
        self.counts: Counter[tuple[str, str, Operation]] = Counter()
        self._clients: dict[str, Client | None] = dict(clients)
        self._made = ExitStack()
        self._lines: dict[bytes, int] = {}
        self._line = 0
        self._faults: list[Fault] = []
        self._more = 0

    def __enter__(self) -> Self:
        self._made.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", IncompleteDocumentWarning)  # whoever allows it will hear it when it is sent
        return self

    def __exit__(self, *_: object) -> None:
        self._made.close()

    def row(self, row: Row, file: ManifestFile) -> None:
        """Check one more row."""
        self.total += 1
        place = f"line {row.line}" + (f", row {self.total}" if row.line == self._line else "")
        self._line = row.line
        try:
            order = _order(row, file)
            self._check_is_new(order, has_key=row.content.get("key") is not None)
            client = self._client(order.profile)
            if client:
                self.counts[order.profile, client.provider, order.operation] += 1
                _preview(order, client)
        except InvalidDocumentError as error:
            for fault in error.faults:
                self._note(attrs.evolve(fault, path=f"{place}: {fault.path}" if fault.path else place))

    def raise_faults(self) -> None:
        """End the check.

        Raises:
            InvalidDocumentError: there are faults, or no orders at all.
        """
        if not self.total:
            self._note(Fault("", "there are no orders in it"))
        if self._more:
            self._faults.append(Fault("", f"and {self._more} more"))
        if self._faults:
            raise InvalidDocumentError(self._faults)

    def _note(self, fault: Fault) -> None:
        if len(self._faults) < _MOST_FAULTS:
            self._faults.append(fault)
        else:
            self._more += 1

    def _check_is_new(self, order: Order, *, has_key: bool) -> None:
        digest = hashlib.sha256(order.key.encode()).digest()[:16]  # a hundred thousand are held at once
        if digest not in self._lines:
            self._lines[digest] = order.line
        elif has_key:
            raise InvalidDocumentError([Fault("key", f"line {self._lines[digest]} has the same")])
        else:
            why = f"says the same as line {self._lines[digest]}; give each a key if both are meant"
            raise InvalidDocumentError([Fault("", why)])

    def _client(self, profile: str) -> Client | None:
        """Give the client of a profile; ``None`` if that cannot be made, which is told once."""
        if profile not in self._clients:
            self._clients[profile] = None
            try:
                self._clients[profile] = self._made.enter_context(connect(profile=profile))
            except MigrateError as error:
                raise InvalidDocumentError([Fault("profile", str(error))]) from None
        return self._clients[profile]


def _preview(order: Order, client: Client) -> None:
    """Let the provider make the first request of an order, and throw it away.

    Raises:
        InvalidDocumentError: it cannot be made.
    """
    try:
        if order.operation is Operation.REGISTER_SOURCE:
            client.sources.preview(order.source(), **order.options)
        else:
            about = order.pairing() if order.subject is None else order.subject
            client._engine.check(order.operation, order.options)
            client._engine.preview(order.operation, getattr(client._provider, order.operation.value), about)
    except InvalidDocumentError:
        raise
    except UnsupportedOperationError as error:
        raise InvalidDocumentError([Fault("operation", str(error))]) from None
    except UnsupportedOptionError as error:
        raise InvalidDocumentError([Fault("options", str(error))]) from None
    except MigrateError as error:
        raise InvalidDocumentError([Fault("document" if order.subject is None else "id", str(error))]) from None


def _order(row: Row, file: ManifestFile) -> Order:
    """Read a row.

    Raises:
        InvalidDocumentError: it says too little, too much, or something wrong; all faults are listed.
    """
    if row.fault:
        raise InvalidDocumentError([Fault("", row.fault)])
    if not isinstance(row.content, dict):
        raise InvalidDocumentError([Fault("", f"is no object with some of the fields {', '.join(FIELDS)}")])
    said = {name: value for name, value in row.content.items() if value is not None}
    operation = operation_named(said.get("operation"))
    faults = [*_faults_of_fields(said), *_faults_of_use(said, operation)]
    document = said.get("document")
    if isinstance(document, str) and not faults:
        document = _document(document, file)
    if not isinstance(document, dict | None) and not faults:
        faults.append(Fault("document", "is neither an object nor the name of a file with one"))
    options = said.get("options", {})
    faults += [*_secrets_in(document, ""), *_secrets_in(options, "options")]
    if faults or operation is None:
        raise InvalidDocumentError(faults)
    vendors_own = said.get("as") == "vendor"
    digest = _digest(said["profile"], operation.value, said.get("id"), vendors_own, document, options)
    return Order(
        line=row.line,
        profile=said["profile"],
        operation=operation,
        subject=said.get("id"),
        document=document,
        vendors_own=vendors_own,
        options=options,
        key=said.get("key", digest),
    )


def _document(name: str, file: ManifestFile) -> Any:
    try:
        return file.document(name)
    except InvalidArgumentError as error:
        raise InvalidDocumentError([Fault("document", str(error))]) from None


def _faults_of_fields(said: Mapping[Any, Any]) -> Iterator[Fault]:
    """Look at each field alone."""
    for name in said:
        if name not in FIELDS:
            yield Fault(str(name), f"is no field of a row{meant(str(name), FIELDS)}")
    for name in ("profile", "operation", "id", "as", "key"):
        value = said.get(name, "text")
        if not isinstance(value, str) or not value:
            yield Fault(name, "is not a text" if value != "" else "is empty")
    if not isinstance(said.get("options", {}), dict):
        yield Fault("options", "is not an object")
    key = said.get("key", "key")
    if isinstance(key, str) and (len(key) > _LONGEST_KEY or not key.isprintable()):
        yield Fault("key", f"has more than {_LONGEST_KEY} characters, or some that cannot be printed")


def _faults_of_use(said: Mapping[Any, Any], operation: Operation | None) -> Iterator[Fault]:
    """Look at which fields go together."""
    if "profile" not in said:
        yield Fault("profile", "is mandatory")
    if operation is None:
        known = [operation.value for operation in OPERATIONS]
        asked = said.get("operation")
        hint = meant(asked, known) if isinstance(asked, str) else ""
        why = "is none that a manifest takes" if asked is not None else "is mandatory"
        yield Fault("operation", f"{why}{hint}; there are: {', '.join(known)}")
        return
    wanted, useless = ("document", ("id",)) if operation in SPECS else ("id", ("document", "as"))
    if wanted not in said:
        yield Fault(wanted, f"is mandatory for {operation.value}")
    for name in useless:
        if name in said:
            yield Fault(name, f"is of no use for {operation.value}, which takes {wanted}")
    forms = ("neutral", "vendor") if operation is Operation.REGISTER_SOURCE else ("neutral",)
    if operation in SPECS and said.get("as", "neutral") not in forms:
        yield Fault("as", f"is not one of {', '.join(forms)}")


def _secrets_in(value: Any, path: str, *, secret: bool = False, depth: int = 0) -> Iterator[Fault]:
    """Find secrets that stand in a document, and references to some that would run a command."""
    if depth > MOST_DEPTH:
        yield Fault("", f"is nested deeper than {MOST_DEPTH} levels")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _secrets_in(inner, f"{path}[{number}]", secret=secret, depth=depth + 1)
    elif isinstance(value, dict):
        if secret and "command" in value:
            yield Fault(path, "is to be fetched by a command, and a manifest runs none")
        for name, inner in value.items():
            if isinstance(inner, dict | list) or _is_secret(name):
                where = f"{path}.{name}" if path else name
                yield from _secrets_in(inner, where, secret=_is_secret(name), depth=depth + 1)
    elif secret and isinstance(value, str) and value:
        yield Fault(path, "is a secret; a manifest only says where one is, such as {env: NAME}")


def _digest(*parts: Any) -> str:
    """Digest what an order says.

    Raises:
        InvalidDocumentError: no journal could keep it.
    """
    try:
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        content = text.encode()
    except ValueError:
        raise InvalidDocumentError([Fault("", "has a number that is none, or half a character")]) from None
    if "\\u0000" in text and _NUL.search(text):
        raise InvalidDocumentError([Fault("", "has the character NUL in it")])
    return hashlib.sha256(content).hexdigest()[:32]


_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
