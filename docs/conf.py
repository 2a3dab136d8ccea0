"""How the site is built: ``make docs``. Nothing is fetched, and a warning is a failure."""

from __future__ import annotations

import ast
import enum
import importlib.metadata
import inspect
import pydoc
import re
import tokenize
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

import migrate_core as mc
from migrate_core.cli.app import app as migratectl
from migrate_core.testing.conformance import ProviderConformance

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "migrate-core"
author = "the migrate-core authors"
project_copyright = f"2026, {author}"
release = importlib.metadata.version("migrate-core")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
nitpicky = True
html_theme = "furo"
html_title = f"migrate-core {release}"

# The prose is Markdown that reads the same on the code host, whose links to headings these are.
myst_heading_anchors = 4

# The reference is made of docstrings, in which single backticks name what is linked.
default_role = "py:obj"
highlight_language = "default"
maximum_signature_line_length = 88
add_module_names = False
python_use_unqualified_type_names = True
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_attr_annotations = False
napoleon_use_ivar = True

# Whatever else is named in a signature or a docstring must lead somewhere.
nitpick_ignore_regex = [
    ("py:class", r"(collections\.abc|datetime|os|pathlib|ssl|starlette|typing)(\..+)?"),
    ("py:class", r"(migrate_core\..+\.)?([A-Z]|_\w+)"),
    ("py:obj", r"[a-z_]+"),  # the function's own arguments
]

ROOT = Path(__file__).parent.parent

_NO_CODE = (
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
    *(tokenize.ENCODING, tokenize.ENDMARKER),
)
_PROVIDERS = ("aws_mgn", "huawei_sms", "vmware_srm")


def _commands() -> str:
    """Tell all commands of ``migratectl``, as its help does."""
    told = migratectl.generate_docs()
    return "\n".join(map(_marked, told[told.index("\n## ", told.index("\n**Commands**")) :].splitlines()))


def _marked(line: str) -> str:
    """Mark options in prose as code, or their two hyphens become a dash."""
    if line.startswith(("    ", "migratectl ")):
        return line
    parts = line.split("`")
    parts[::2] = [re.sub(r"--[a-z][a-z-]*", r"`\g<0>`", part) for part in parts[::2]]
    return "`".join(parts)


def _operations() -> str:
    """Tell what each provider supports, from what it declares."""
    declared = [mc.provider_class(name).capabilities for name in _PROVIDERS]
    rows = [[f"`{operation.value}`", *(_said(one[operation]) for one in declared)] for operation in mc.Operation]
    return _table(["operation", *_PROVIDERS], rows)


def _said(capability: mc.Capability) -> str:
    support = capability.support.value.replace("_", " ")
    return f"{support}: {capability.note}" if capability.note else support


def _settings(provider: str) -> str:
    """Tell the settings of a provider, from their declarations."""
    rows = [
        [
            f"`{field.name}`",
            f"`{field.default}`" if isinstance(field.default, bool | str | int | float) else "",
            "yes" if field.metadata["secret"] else "",
            field.metadata["doc"],
        ]
        for field in attrs.fields(mc.provider_class(provider).settings_type)
    ]
    return _table(["setting", "default", "secret", "what for"], rows)


def _table(headings: list[str], rows: Iterable[list[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _checks() -> str:
    """Tell the checks of the conformance suite, by what their docstrings say."""
    checks = [
        (name.removeprefix("test_").replace("_", " "), inspect.getdoc(check) or "")
        for theme in reversed(ProviderConformance.__mro__)
        for name, check in vars(theme).items()
        if name.startswith("test_")
    ]
    return _table(["check", "what it does"], [[name, told.partition("\n")[0]] for name, told in checks])


def _lines_of_code(file: Path) -> int:
    """Count the lines that hold code, and not only a comment or a docstring."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    said = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    with file.open("rb") as code:
        told = {token.start[0] for token in tokenize.tokenize(code.readline) if token.type not in _NO_CODE}
    return len(told - said)


def _sizes() -> str:
    """Tell how many lines of code each file of each provider has; blank lines, comments and docstrings are none."""
    folders = [ROOT / "providers" / f"migrate_{name}" for name in _PROVIDERS]
    counted = [{file.name: _lines_of_code(file) for file in folder.glob("*.py")} for folder in folders]
    names = ("provider.py", "mapping.py", "models.py", "auth.py", "simulator.py")
    rows = [[f"`{name}`", *(str(sizes[name]) for sizes in counted)] for name in names]
    return _table(["file", *_PROVIDERS], [*rows, ["all", *(str(sum(sizes.values())) for sizes in counted)]])


_GENERATED: Mapping[str, Callable[[], str]] = {
    "<!-- commands -->": _commands,
    "<!-- checks -->": _checks,
    "<!-- operations -->": _operations,
    "<!-- sizes -->": _sizes,
    **{f"<!-- settings of {name} -->": lambda name=name: _settings(name) for name in _PROVIDERS},
}


def _fill_in(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put what is generated in the place of the comments that stand for it."""
    for mark, generate in _GENERATED.items():
        if mark in source[0]:
            source[0] = source[0].replace(mark, generate())
            app.env.note_reread()


class _Told:
    """A default value, said in few words."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _tell_defaults(app: Sphinx, thing: Any, bound: bool) -> None:
    """Say the defaults of an attrs class briefly; where they are made, its signature only has a mark."""
    made_for = re.match(r"<attrs generated \w+ (.+)>", getattr(getattr(thing, "__code__", None), "co_filename", ""))
    if not made_for:
        return
    defaults = {field.alias: field.default for field in attrs.fields(pydoc.locate(made_for[1]))}
    vars(thing).pop("__signature__", None)
    signature = inspect.signature(thing)
    parameters = [
        parameter.replace(default=_told(defaults.get(name, parameter.default)))
        for name, parameter in signature.parameters.items()
    ]
    thing.__signature__ = signature.replace(parameters=parameters)


def _told(default: Any) -> Any:
    if default is attrs.NOTHING:
        return inspect.Parameter.empty
    if isinstance(default, attrs.Factory):
        return default.factory()
    return _Told(f"{type(default).__name__}()") if attrs.has(type(default)) else default


def _name_flows(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, signature: str, returned: str | None
) -> tuple[str, str] | None:
    """Call a flow a flow: what Python sees of an alias is what it stands for."""
    if returned is None or "Generator[" not in returned:
        return None
    flow = r"~collections\.abc\.Generator\[~migrate_core\.provider\.Request, ~migrate_core\.provider\.Response, "
    return signature, re.sub(flow, "~migrate_core.provider.Flow[", returned)


def _keep_enum_members(app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """Show the members of an enum, none of which has a docstring of its own."""
    return False if isinstance(thing, enum.Enum) else None


def _find(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement) -> nodes.Element | None:
    """Find what a docstring names without its module; what has no place of its own is in that of its class."""
    if node["refdomain"] != "py":
        return None
    python = env.domains.python_domain
    target = node["reftarget"]
    for wanted in (target, target.rpartition(".")[0]):
        found = python.find_obj(env, None, None, wanted, None, 1) if wanted else []
        found = [match for match in found if not match[1].aliased]
        member = target.removeprefix(wanted).lstrip(".")
        if len(found) == 1 and (not member or hasattr(pydoc.locate(found[0][0]), member)):
            node["py:module"] = node["py:class"] = None
            return python.resolve_xref(env, node["refdoc"], app.builder, "obj", found[0][0], node, content)
    return None


def setup(app: Sphinx) -> None:
    """Connect what is above."""
    app.connect("source-read", _fill_in)
    app.connect("autodoc-before-process-signature", _tell_defaults)
    app.connect("autodoc-process-signature", _name_flows)
    app.connect("autodoc-skip-member", _keep_enum_members)
    app.connect("missing-reference", _find)
