"""The options of the model, as its own class declares them in fields and docstring."""

from __future__ import annotations

import inspect
import re
from typing import Any, NamedTuple

import msgspec

from nextclick.models import GRU4RecConfig

from .declaration import choices
from .values import listed


class ModelOption(NamedTuple):
    """An option of the model: its name, what it may be, its default, and what it is."""

    name: str
    values: str
    default: str
    help: str


def model_options() -> list[ModelOption]:
    """Return all options of the model, in order.

    Examples
    --------
    >>> model_options()[0]
    ModelOption(name='hidden', values='int | list[int]', default='100', help='Size of ...')

    """
    described = descriptions(GRU4RecConfig)
    return [
        ModelOption(
            field.name,
            listed(choices(field.type), " | ") or _type_name(field.type),
            _default(field),
            described[field.name],
        )
        for field in msgspec.structs.fields(GRU4RecConfig)
    ]


def descriptions(kind: type) -> dict[str, str]:
    """Return the description of each parameter in a class's docstring.

    Examples
    --------
    >>> descriptions(ModelOption), descriptions(GRU4RecConfig)["cell"]
    ({}, '``"gru"``, ``"lstm"`` or ``"rnn"``.')

    """
    _, _, section = (inspect.getdoc(kind) or "").partition("Parameters\n----------\n")
    section = re.split(r"\n\w+\n---", section)[0]
    found = {}
    for names, text in re.findall(r"^(\S.*)\n((?: .*\n?|\n)+)", section + "\n", re.MULTILINE):
        for name in names.split(", "):
            found[name] = " ".join(text.split())
    return found


def _type_name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and kind is not list else str(kind)


def _default(field: msgspec.structs.FieldInfo) -> str:
    made = field.default_factory is not msgspec.NODEFAULT
    value = field.default_factory() if made else field.default
    return str(value).lower() if isinstance(value, bool) else str(value)
