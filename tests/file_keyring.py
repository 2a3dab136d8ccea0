"""A keyring in a file of the test's, for commands that run in processes of their own."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

VARIABLE = "TEST_KEYRING_FILE"


class FileKeyring(KeyringBackend):
    """Keeps its entries where a variable of the environment says."""

    priority = 5

    def get_password(self, service: str, username: str) -> str | None:
        """Give an entry."""
        return self.entries().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep an entry."""
        self._keep({**self.entries(), f"{service} {username}": password})

    def delete_password(self, service: str, username: str) -> None:
        """Forget an entry."""
        entries = self.entries()
        if f"{service} {username}" not in entries:
            raise PasswordDeleteError
        del entries[f"{service} {username}"]
        self._keep(entries)

    def entries(self) -> dict[str, str]:
        """Give all entries, by service and user."""
        path = Path(os.environ[VARIABLE])
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def _keep(self, entries: dict[str, str]) -> None:
        Path(os.environ[VARIABLE]).write_text(json.dumps(entries))
