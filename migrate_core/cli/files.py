"""Reading what a person wrote: JSON or YAML, from a file or stdin."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

import migrate_core as mc

__all__ = ["read_document"]


def read_document(name: str) -> Any:
    """Read a JSON or YAML document.

    Args:
        name: path of the file; ``-`` is stdin.

    Returns:
        What is in it.

    Raises:
        InvalidArgumentError: it cannot be read, or is neither JSON nor YAML; the text says where, and quotes nothing.
    """
    where = "stdin" if name == "-" else name
    try:
        text = sys.stdin.buffer.read().decode() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise mc.InvalidArgumentError(f"{where} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise mc.InvalidArgumentError(f"{where} is no text in UTF-8") from None
    return _json(text, where) if text.lstrip()[:1] in ("{", "[") and not _is_yaml(name) else _yaml(text, where)


def _is_yaml(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise mc.InvalidArgumentError(
            f"{where} is no JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise mc.InvalidArgumentError(f"{where} is no usable JSON: {error}") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"it holds {constant}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands twice in one object")
    return found


def _yaml(text: str, where: str) -> Any:
    import yaml

    try:
        value = yaml.load(text, _loader())  # noqa: S506  # a safe loader
        json.dumps(value)  # there are tags for what JSON does not have, such as sets
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        at = f" at line {place.line + 1}, column {place.column + 1}" if place else ""
        why, _, _ = (error.problem or error.context or "").partition(" handle ")  # that of a tag would be quoted
        raise mc.InvalidArgumentError(f"{where} is no YAML: {why}{at}") from None
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise mc.InvalidArgumentError(f"{where} is no usable YAML: {type(error).__name__}") from None
    return value


def _loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Reads what JSON can say: a time stays a text; a key that stands twice, an alias and a tag are errors.

        Aliases could make a circle, or a small text huge.
        """

        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            if self.check_event(yaml.AliasEvent):
                mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # of PyYAML's stubs
                raise yaml.composer.ComposerError(None, None, "an alias", mark)
            return super().compose_node(parent, index)

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            names: set[str] = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise yaml.constructor.ConstructorError(None, None, "a key that is no text", key.start_mark)
                if key.value in names:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} twice", key.start_mark)
                names.add(key.value)
            return super().construct_mapping(node, deep)

    def refuse(_: Loader, node: yaml.Node) -> NoReturn:
        raise yaml.constructor.ConstructorError(None, None, "a tag", node.start_mark)

    Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: str(node.value))
    Loader.add_constructor(None, refuse)
    return Loader
