"""Starting: what an import and a first call cost a process that does nothing else.

The processes run in an environment of their own, ``BENCHMARKS_PYTHON``, which has the library and the vendor's SDK and
no more: httpx imports a whole command line where it finds what that needs. ``make bench`` makes it.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from benchmarks.calls import KEYS, PATH, SOURCE
from benchmarks.server import HOST, TESTS

_OURS = "import migrate_core as mc\nfor name in mc.__all__: getattr(mc, name)\n"
_SDK = "from huaweicloudsdksms import v3\nfrom huaweicloudsdkcore.auth.credentials import BasicCredentials\n"

PYTHON = "Python alone"

IMPORTS: Mapping[str, str] = {
    "migrate-core, every public name": _OURS,
    "httpx": "import httpx\n",
    "the vendor's SDK": _SDK,
    PYTHON: "",
}

_WITHOUT_EXTRA = "import sys\nsys.modules.update(dict.fromkeys(('msgspec', 'msgspec.json', 'orjson')))\n"


def first_calls(port: int) -> Mapping[str, str]:
    """Give scripts that make one call and end."""
    origin = f"http://{HOST}:{port}"
    key = f"{KEYS['access_key']!r}, {KEYS['secret_key']!r}"
    ours = (
        "import migrate_core as mc\n"
        f"with mc.connect('huawei_sms', endpoint={origin!r}, transport=TRANSPORT, **{KEYS!r}) as cloud:\n"
        f"    cloud.sources.describe({SOURCE!r})\n"
    )
    return {
        "migrate-core": _WITHOUT_EXTRA + ours.replace("TRANSPORT", "'httpx'"),
        "migrate-core, transport=fast": ours.replace("TRANSPORT", "'fast'"),
        "httpx": f"import httpx\nwith httpx.Client() as client: client.get({origin + PATH!r}).json()\n",
        "the vendor's SDK": f"{_SDK}"
        f"build = v3.SmsClient.new_builder().with_endpoint({origin!r})\n"
        f"client = build.with_credentials(BasicCredentials({key}, 'benchmark')).build()\n"
        f"client.show_server(v3.ShowServerRequest(source_id={SOURCE!r}))\n"
        "client.close()\n"
        "client.get_http_client().executor.shutdown()\n",
    }


def starts(scripts: Mapping[str, str]) -> Sequence[tuple[str, Callable[[], float]]]:
    """Give contestants that run a script in a process of its own; each tells the CPU seconds that it took."""
    return [(name, lambda script=script: _cpu_of(script)) for name, script in scripts.items()]  # type: ignore[misc]


def _cpu_of(script: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # modules are compiled once, as where they are installed
    python = os.environ.get("BENCHMARKS_PYTHON", sys.executable)
    subprocess.run([python, "-c", script], check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
