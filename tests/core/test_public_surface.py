"""What is public, what is imported when, and who knows whom."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import migrate_core
from migrate_core import _public
from support import ROOT

PACKAGES = ("migrate_core", "migrate_aws_mgn", "migrate_huawei_sms", "migrate_vmware_srm")
PROVIDERS = {path.name: path for path in (ROOT / "providers").iterdir() if path.is_dir()}
ROOMS = {
    *("models", "operations", "provider", "transports", "errors", "client", "aio", "tasks", "clock", "documents"),
    *("profiles", "secrets", "shapes", "_reading", "_yaml"),
    *("_engine", "_retry", "_poll", "_paging", "_httpx", "_registry", "_connect", "_check", "_contract", "_public"),
    *("_pytest", "_lanes", "_exchange", "_proxies", "_tls"),
    *("_json", "_compiled", "_rate", "_registering", "_telemetry"),
    *("_fast", "_fast_async", "_fast_sync", "_timed"),
    *("testing", "cli", "fleet"),
}


def modules() -> Iterator[ModuleType]:
    for name in PACKAGES:
        package = import_module(name)
        yield package
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not found.name.endswith("__main__"):
                yield import_module(found.name)


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_all_is_sorted_and_equals_what_is_there() -> None:
    there = {name for name in vars(_public) if not name.startswith(("_", "@")) and name != "annotations"}  # @: pytest's
    assert migrate_core.__all__ == sorted(migrate_core.__all__)
    assert set(migrate_core.__all__) == there
    assert there <= set(dir(migrate_core))
    assert all(getattr(migrate_core, name) is getattr(_public, name) for name in there)
    with pytest.raises(AttributeError, match="'migrate_core' has no attribute 'Kitchen'"):
        migrate_core.Kitchen  # noqa: B018


@pytest.mark.parametrize(
    "code", ["import migrate_core", "import migrate_core._pytest"], ids=["the package", "the plug-in of pytest"]
)
def test_importing_the_package_alone_loads_nothing_of_it(code: str) -> None:
    listing = "print(*[name for name in sys.modules if name.startswith(('migrate_', 'attr', 'httpx', 'stevedore'))])"
    done = subprocess.run([sys.executable, "-c", f"import sys; {code}; {listing}"], capture_output=True, text=True)
    assert set(done.stdout.split()) <= {"migrate_core", "migrate_core._pytest"}
    assert done.stdout


@pytest.mark.parametrize(
    "code",
    [
        "from migrate_core import *; connect",
        "from migrate_core import models; models.Stage",
        "from migrate_core import client, aio; client.Client",
        "import migrate_core.tasks; migrate_core.tasks.Task",
        "from migrate_core import connect_async",
        "import migrate_core.provider, migrate_core; migrate_core.Client",
    ],
)
def test_every_way_to_import_works_first(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)


def modules_after(code: str) -> set[str]:
    """Give the names of all modules that a new process has loaded after some code."""
    code = f"import sys; {code}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "migrate_core" in done.stdout.split()
    return set(done.stdout.split())


def test_importing_the_library_loads_neither_the_http_library_nor_a_plug_in() -> None:
    loaded = {name.partition(".")[0] for name in modules_after("import migrate_core; migrate_core.connect")}
    assert loaded.isdisjoint({"httpx", "httpcore", "stevedore", "starlette", "uvicorn", "cyclopts", "rich", *PROVIDERS})


def test_touching_every_public_name_loads_nothing_that_only_some_need() -> None:
    loaded = modules_after("import migrate_core as mc; [getattr(mc, name) for name in mc.__all__]")
    some_need = {"asyncio", "ssl", "socket", "email", "importlib.metadata", "subprocess", "tomllib", "pathlib"}
    assert loaded.isdisjoint({*some_need, "random", "difflib", "shlex", "html", "tempfile", "concurrent.futures"})
    assert len({name for name in loaded if name.startswith("migrate_core")}) <= 22


def test_a_client_for_threads_loads_no_event_loop() -> None:
    open_one = "migrate_core.connect('vmware_srm', endpoint='127.0.0.1', username='u', password='p', verify=False)"
    loaded = modules_after(f"import migrate_core, warnings; warnings.simplefilter('ignore'); {open_one}.close()")
    assert "migrate_core._httpx" in loaded
    assert "asyncio" not in loaded


def test_importing_the_library_does_not_look_for_plug_ins() -> None:
    code = """
import sys
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
import migrate_core
migrate_core.connect
print(*[name for name in opened if name.endswith((".txt", "METADATA", "RECORD"))])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_one_module_imports_the_http_library() -> None:
    users = {
        str(path.relative_to(ROOT))
        for folder in ("migrate_core", "providers")
        for path in (ROOT / folder).rglob("*.py")
        if any(name.partition(".")[0] in ("httpx", "httpcore") for name in imports(path))
    }
    assert users == {"migrate_core/_httpx.py"}


def test_the_core_imports_no_provider_but_in_its_demo() -> None:
    users = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "migrate_core").rglob("*.py")
        if any(name.partition(".")[0] in PROVIDERS for name in imports(path))
    }
    assert users == {"migrate_core/cli/demo.py"}


def test_providers_import_public_modules_only() -> None:
    private = {
        f"{path.name}: {name}"
        for folder in PROVIDERS.values()
        for path in folder.glob("*.py")
        for name in imports(path)
        if name.startswith("migrate_core.") and "._" in name
    }
    assert private == set()


def test_the_core_holds_no_vendor_word() -> None:
    """Outside docstrings, comments and the demo."""
    words = ("huawei", "vmware", "srm", "x-dr-session", "x-auth-token")
    found = []
    for path in (ROOT / "migrate_core").rglob("*.py"):
        if path.parent.name == "cli":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        said = [value for node in ast.walk(tree) if id(node) not in docstrings for value in texts(node)]
        found += [(path.name, text) for text in said for word in words if word in text.lower()]
    assert found == []


def texts(node: ast.AST) -> list[str]:
    """The names and texts of one node, without those of the nodes in it."""
    values = [value for _, value in ast.iter_fields(node)]
    return [text for value in values for text in (value if isinstance(value, list) else [value]) if type(text) is str]


def test_every_package_is_typed() -> None:
    for name in PACKAGES:
        assert Path(str(import_module(name).__file__)).with_name("py.typed").exists()


def test_every_provider_has_the_same_files() -> None:
    files = {name: {path.name for path in folder.iterdir()} - {"__pycache__"} for name, folder in PROVIDERS.items()}
    wanted = {
        "__init__.py",
        "provider.py",
        "mapping.py",
        "models.py",
        "auth.py",
        "simulator.py",
        "py.typed",
        "examples",
    }
    assert set(files) == {"migrate_aws_mgn", "migrate_huawei_sms", "migrate_vmware_srm"}
    assert all(there == wanted for there in files.values())


def test_every_room_is_where_it_is_said_to_be() -> None:
    there = {path.stem for path in (ROOT / "migrate_core").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert there - {"__init__", "__pycache__", "py"} == ROOMS


@pytest.mark.parametrize("module", list(modules()), ids=lambda module: module.__name__)
def test_every_public_name_has_a_docstring(module: ModuleType) -> None:
    undocumented = [module.__name__] if not module.__doc__ else []
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", "") != module.__name__:
            continue
        if inspect.isclass(value) or inspect.isfunction(value):
            undocumented += [name] if not inspect.getdoc(value) else []
        if inspect.isclass(value):
            undocumented += [f"{name}.{method}" for method in _undocumented_methods(value)]
    assert undocumented == []


def _undocumented_methods(cls: type) -> list[str]:
    """Name the public methods that neither have a docstring nor inherit one, as those of a documented base do."""
    return [
        name
        for name, member in vars(cls).items()
        if not name.startswith("_")
        and (inspect.isfunction(member) or isinstance(member, property))
        and not inspect.getdoc(getattr(cls, name))
    ]


def test_no_test_sleeps_for_real() -> None:
    found = []
    for path in set((ROOT / "tests").rglob("*.py")) - {ROOT / "tests" / "testing" / "broken.py"}:  # to be found
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "sleep", "asyncio.sleep"):
                found += [f"{path.name}: {ast.unparse(node)}"] if ast.unparse(node) != "asyncio.sleep(0)" else []
    assert found == []
