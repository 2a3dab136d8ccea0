"""A PostgreSQL server of the tests' own, on a loopback port."""

from __future__ import annotations

import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from canary import CANARY

HOST = "127.0.0.1"

NEEDED = (
    "these tests need PostgreSQL's server, and there is none: install Debian's package postgresql "
    "(apt-get install postgresql), or put pg_ctl and its neighbours on the PATH"
)

_USER = "migrate"
_PATIENCE, _TICK = 30.0, 0.02
_PORTS = range(20_000, 32_000)
"""Nobody gets these by asking for any port, so one is still free when a server comes back to it."""

_UNTIL_WE_LEAVE = 'exec 3<&0; ( (read _ <&3; kill -s INT $$) & ); exec "$@" </dev/null 3<&-'
"""Runs a command, and interrupts it when stdin ends: so it is even if whoever holds the other end is killed."""


def programs() -> Path | None:
    """Find the folder with the server's programs; ``None`` if there is none."""
    debians = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    known = shutil.which("pg_ctl")
    candidates = [*reversed(debians), *([Path(known).resolve().parent] if known else [])]
    return next((folder for folder in candidates if (folder / "initdb").exists()), None)


class Postgres:
    """A server with a data folder of its own, as it is configured by default: what it confirmed is on the disk.

    It asks everybody for a password, which clients take from the variable of `environ`. It is started and stopped as
    often as one likes, and stays at its port.

    Args:
        binaries: the folder with the server's programs.
        folder: an empty folder, which the server's user can reach.

    Attributes:
        port: where it listens.
        environ: the variable with the password.
    """

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.port = _free_port()
        self.environ: Mapping[str, str] = {"PGPASSWORD": f"{CANARY}-{secrets.token_urlsafe()}"}
        self._create()

    def _create(self) -> None:
        for name in ("data", "sockets"):
            (self._folder / name).mkdir(mode=0o700)
            shutil.chown(self._folder / name, self._owner.pw_name)
        password = self._folder / "sockets" / "password"
        password.touch(0o600)
        shutil.chown(password, self._owner.pw_name)
        password.write_text(self.environ["PGPASSWORD"], encoding="ascii")
        words = ["-D", self._folder / "data", "-U", _USER, "-E", "UTF8", "--locale=C", "--no-sync"]
        words += ["--auth=scram-sha-256", f"--pwfile={password}"]
        with self._log() as log:
            subprocess.run([self._binaries / "initdb", *words], stdout=log, stderr=log, check=True, **self._as_owner())
        password.unlink()

    @property
    def _owner(self) -> pwd.struct_passwd:
        """Who runs the server: we, or somebody with fewer rights, for it refuses root."""
        if os.geteuid():
            return pwd.getpwuid(os.geteuid())
        with suppress(KeyError):
            return pwd.getpwnam("postgres")
        return pwd.getpwnam("nobody")

    def _as_owner(self) -> dict[str, Any]:
        here = {"cwd": self._folder / "data", "env": {"PATH": os.defpath, "LC_ALL": "C"}}
        if os.geteuid():
            return here
        return {**here, "user": self._owner.pw_uid, "group": self._owner.pw_gid, "extra_groups": []}

    def _log(self) -> Any:
        return (self._folder / "log").open("ab")

    @property
    def log(self) -> str:
        """What it has said so far."""
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Start it, and wait until it lets clients in.

        Raises:
            RuntimeError: it does not.
        """
        settings = [f"port={self.port}", f"listen_addresses={HOST}", f"unix_socket_directories={self._folder}/sockets"]
        words = [word for setting in settings for word in ("-c", setting)]
        server: Sequence[str | Path] = [self._binaries / "postgres", "-D", self._folder / "data", *words]
        with self._log() as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _UNTIL_WE_LEAVE, "sh", *server],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                **self._as_owner(),
            )
        until = time.monotonic() + _PATIENCE
        while not self._lets_in():
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_TICK)
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"PostgreSQL does not start: {self.log}")

    def _lets_in(self) -> bool:
        with suppress(psycopg.OperationalError):
            self._connect().close()
            return True
        return False

    def stop(self) -> None:
        """Stop it as an administrator does who waits for nobody: clients are cut off, what was committed is kept."""
        if self._process and self._process.stdin:
            self._process.stdin.close()
            self._process.wait(_PATIENCE)
        self._process = None

    def kill(self) -> None:
        """End it as a crash does: nothing is put in order, and the next start has to recover."""
        if self._process:
            self._process.send_signal(signal.SIGQUIT)
        self.stop()

    @property
    def pid(self) -> int:
        """The process that started all the others of it."""
        assert self._process
        return self._process.pid

    def url(self, database: str = "postgres") -> str:
        """Give the address of a database, without the password."""
        return f"postgresql://{_USER}@{HOST}:{self.port}/{database}"

    def allow(self, patch: pytest.MonkeyPatch) -> None:
        """Let this process and its children in."""
        for name, value in self.environ.items():
            patch.setenv(name, value)

    def new_database(self, like: str = "template1") -> str:
        """Make a database, empty or a copy of another one that nobody uses; gives its address."""
        self._databases += 1
        name = f"trial_{self._databases}"
        words = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(like))
        with self._connect() as connection:
            connection.execute(words)
        return self.url(name)

    def _connect(self) -> psycopg.Connection[Any]:
        password = self.environ["PGPASSWORD"]
        return psycopg.connect(self.url(), password=password, autocommit=True, connect_timeout=5)


@contextmanager
def served() -> Iterator[Postgres]:
    """Run a server; nothing is left of it in the end, and it is stopped even if this process is killed.

    Raises:
        FileNotFoundError: it is not installed.
    """
    binaries = programs()
    if binaries is None:
        raise FileNotFoundError(NEEDED)
    folder = Path(tempfile.mkdtemp(prefix="migrate-core-postgres-"))  # not below pytest's, which are root's alone
    try:
        folder.chmod(0o755)
        server = Postgres(binaries, folder)
        try:
            server.start()
            yield server
            server.kill()  # what it would put in order is deleted
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _free_port() -> int:
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise OSError("no port is free")
