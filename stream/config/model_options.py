"""The options of the model, as its own class declares them in fields and docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from nextclick.models import GRU4RecConfig

from .declaration import choices
from .learners import DEFAULT, OWN, class_of, options_struct
from .values import listed


class ModelOption(NamedTuple):
    """An option of the model: its name, what it may be, its default, and what it is."""

    name: str
    values: str
    default: str
    help: str


def model_options(name: str = DEFAULT) -> list[ModelOption]:
    """Return all options of a model, in order.

    Examples
    --------
    >>> model_options()[0]
    ModelOption(name='hidden', values='int | list[int]', default='100', help='Size of ...')

    """
    described = {}
    for kind in reversed(_described_by(name)):
        own = descriptions(kind).items()
        described.update({option: text for option, text in own if not text.startswith("See ")})
    defaults = OWN.get(name, {})
    return [
        ModelOption(
            field.name,
            listed(choices(field.type), " | ") or _type_name(field.type),
            _default(field, defaults),
            described.get(field.name, ""),
        )
        for field in msgspec.structs.fields(options_struct(name))
    ]


def _described_by(name: str) -> list[type]:
    """Return the classes whose docstrings describe a model's options, the nearest first."""
    struct = options_struct(name)
    own = [] if name in OWN else class_of(name).__mro__
    return [*own, *struct.__mro__, GRU4RecConfig]


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


def _default(field: msgspec.structs.FieldInfo, changed: Mapping[str, Any]) -> str:
    made = field.default_factory is not msgspec.NODEFAULT
    value = changed.get(field.name, field.default_factory() if made else field.default)
    return str(value).lower() if isinstance(value, bool) else str(value)
