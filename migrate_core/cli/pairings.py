"""``migratectl pairing``."""

from __future__ import annotations

import migrate_core as mc
from migrate_core.cli.files import read_document
from migrate_core.cli.options import Connection, DocumentName, Output, Sure, Waiting
from migrate_core.cli.output import Columns, show, show_all
from migrate_core.cli.waiting import finish
from migrate_core.shapes import read_shape

__all__ = ["create", "delete", "describe", "list_"]

_COLUMNS: Columns = {
    "id": lambda pairing: pairing.id,
    "state": lambda pairing: pairing.state.value,
    "local": lambda pairing: pairing.local.name or pairing.local.url,
    "remote": lambda pairing: pairing.remote.name or pairing.remote.url,
}
_ROWS: Columns = {
    "id": lambda pairing: pairing.id,
    "state": lambda pairing: pairing.state.value,
    "local": lambda pairing: _told(pairing.local),
    "remote": lambda pairing: _told(pairing.remote),
}


def create(
    *,
    file: DocumentName,
    waiting: Waiting = Waiting(),
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Pair the site with another one.

    The document is JSON or YAML with `remote_url`, `remote_username`, `remote_password` and `details`. The password is
    a reference, such as {env: PEER_PASSWORD}, and never the password itself.

    For example:

        migratectl pairing create -f site-b.yaml --profile dr

    Parameters
    ----------
    file:
        The document; - reads stdin.
    """
    spec = read_shape(mc.PairingSpec, read_document(file))
    with connection.open() as client:
        finish(client.pairings.create(spec), connection, waiting, output)


def describe(pairing_id: str, /, *, connection: Connection = Connection(), output: Output = Output()) -> None:
    """Describe one pairing.

    For example:

        migratectl pairing describe 7d0a7a4e-0c55-4a6c-9d5e-1f0f5c1b7a11 --profile dr -o yaml

    Parameters
    ----------
    pairing_id:
        Its id.
    """
    with connection.open() as client:
        pairing = client.pairings.describe(pairing_id)
    show(pairing, output, identity=pairing.id, rows=_ROWS)


def list_(*, connection: Connection = Connection(), output: Output = Output()) -> None:
    """List all pairings.

    For example:

        migratectl pairing list --profile dr
    """
    with connection.open() as client:
        show_all(client.pairings.list(), output, identity=lambda pairing: pairing.id, columns=_COLUMNS)


def delete(
    pairing_id: str,
    /,
    *,
    sure: Sure = Sure(),
    waiting: Waiting = Waiting(),
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Break a pairing.

    For example:

        migratectl pairing delete 7d0a7a4e-0c55-4a6c-9d5e-1f0f5c1b7a11 --profile dr --yes

        migratectl pairing delete ID --profile dr --yes --no-wait -o id

    Parameters
    ----------
    pairing_id:
        Its id.
    """
    with connection.open() as client:
        sure.confirm(f"Break pairing {pairing_id} at {client.provider}?")
        finish(client.pairings.delete(pairing_id), connection, waiting, output)


def _told(site: mc.Site) -> str:
    return " ".join(part for part in (site.name, site.url and f"({site.url})") if part)
