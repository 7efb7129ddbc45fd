"""How an option is declared: once, in the type of its field; everything else is derived from that.

An option's flag, its help, its environment variable, its checks and its row in the documentation
come from the field's name, type and default, and from the `Option` in the type.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin

import msgspec

from .values import listed

S = TypeVar("S", bound=msgspec.Struct)

LARGEST_COUNT = 1_000_000_000
"""The upper bound of a whole number without a bound in its declaration."""

AnyTable = Any
"""The type of a table whose options another option decides, or of the struct made of it."""

SOURCE, TOPIC, MODEL = "Source", "Source: Kafka topics", "Sessions and model"
SNAPSHOTS, OUTPUT, SERVING = "Snapshots", "Output", "Requests over HTTP"
TRIALS, WORKERS = "Trying other models", "Several workers"
PROTOCOL = "What counts in the figures"


@dataclass(frozen=True, slots=True)
class Option:
    """What there is to know of an option besides its name, type and default.

    Parameters
    ----------
    help
        What it is, for the help and the documentation.
    panel
        The panel of the help that it is on.
    ge, le
        The least and the most that a number may be, or each number of a list.
    fixed
        Figures depend on it: a run or comparison that goes on must have the same.
    changeable
        Of one that is fixed: a run that goes on may have another, and its figures say from which
        click on; a comparison may not.
    basic
        It is one of the ten or so that most people need, and so on the help's first panel.
    topic
        It is for a topic only.
    flag, file
        Whether there is a flag for it, and whether a TOML file can give it.
    names
        Further names of the flag, such as ``-k``.
    default
        What holds where it is not given, if the default is None; for the help.
    value
        What the help shows for its value, such as ``DURATION``.
    parse
        Reads a value, given it and the option's name as it is typed, and raises a ConfigError if
        it cannot. Values that read the same are the same when a run goes on.
    normalise
        Brings a value into the form in which it is kept.
    read
        Reads a text of the command line or the environment; by default as the type asks for.
    check
        Of a table whose options another option decides: checks what one origin gives, with all
        options that are given, and where the table stands, for messages.
    read_all
        Of a flag that may be repeated: reads all its texts, or the words of the environment; by
        default each is ``NAME=VALUE``.

    """

    help: str
    panel: str = ""
    _: KW_ONLY
    ge: float | None = None
    le: float | None = None
    fixed: bool = False
    changeable: bool = False
    basic: bool = False
    topic: bool = False
    flag: bool = True
    file: bool = True
    names: tuple[str, ...] = ()
    default: str = ""
    value: str = ""
    parse: Callable[[Any, str], Any] | None = None
    normalise: Callable[[Any], Any] | None = None
    read: Callable[[str, str], Any] | None = None
    check: Callable[[Any, Mapping[str, Any], str], None] | None = None
    read_all: Callable[[list[str], str], Any] | None = None

    @property
    def most(self) -> float | None:
        """The most that a number may be: of one that has a least value only, `LARGEST_COUNT`."""
        return LARGEST_COUNT if self.le is None and self.ge is not None else self.le

    def fault(self, number: float) -> str | None:
        """Return what a number must be where it is out of bounds, else None.

        Examples
        --------
        >>> count = Option("Clicks.", ge=1, le=5000)
        >>> count.fault(0), count.fault(9000), count.fault(3)
        ('at least 1', 'at most 5,000', None)

        """
        if self.ge is not None and not number >= self.ge:
            return f"at least {self.ge:,}"
        if self.most is not None and not number <= self.most:
            return f"at most {self.most:,}"
        return None


option = Option
"""As it is written in a declaration, ``Annotated[int, option("Clicks in a batch.", ge=1)]``."""


class Declared(NamedTuple):
    """An option as it is declared: the field's name, type and default, and the `Option`."""

    name: str
    kind: Any
    default: Any
    option: Option

    @property
    def flag(self) -> str:
        """Its name as it is typed."""
        return flag(self.name)

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return variable(self.name)

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is msgspec.NODEFAULT

    @property
    def shape(self) -> str:
        """How it is typed: ``switch``, ``whole``, ``number``, ``list``, ``table`` or ``text``."""
        return shape(self.kind)

    @property
    def shown_default(self) -> str:
        """The default as the help shows it; empty where there is nothing to show."""
        value = self.default
        if self.option.default or value is None or value is False or self.required:
            return self.option.default
        if isinstance(value, list):
            return ",".join(map(str, value))
        return "" if isinstance(value, dict | msgspec.Struct) else str(value)

    @property
    def shown_value(self) -> str:
        """What the help shows for its value: the choices, or what kind of value it is."""
        if self.option.value or self.shape == "switch":
            return self.option.value
        if found := choices(self.kind):
            return listed(found, "|")
        return {"whole": "INTEGER", "number": "NUMBER", "table": "NAME=VALUE"}.get(
            self.shape, "N,N,…" if "int" in str(self.kind) and self.shape == "list" else "TEXT"
        )


def flag(field: str) -> str:
    """Return an option's name as it is typed.

    Examples
    --------
    >>> flag("snapshot_every"), flag("from_")
    ('--snapshot-every', '--from')

    """
    return "--" + typed(field).replace("_", "-")


def typed(field: str) -> str:
    """Return an option's name in a file: that of its field, which may end with an underscore.

    Examples
    --------
    >>> typed("batch"), typed("from_")
    ('batch', 'from')

    """
    return field.rstrip("_")


def by_field(given: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Return options as typed by the names of their fields.

    Examples
    --------
    >>> by_field({"batch": 32, "from": "latest"}, ["batch", "from_"])
    {'batch': 32, 'from_': 'latest'}

    """
    names = {typed(name): name for name in fields}
    return {names.get(name, name): value for name, value in given.items()}


def variable(field: str) -> str:
    """Return an option's environment variable.

    Examples
    --------
    >>> variable("snapshot_every")
    'NEXTCLICK_SNAPSHOT_EVERY'

    """
    return f"NEXTCLICK_{typed(field).upper()}"


@functools.cache
def declared(struct: type[msgspec.Struct]) -> Mapping[str, Declared]:
    """Return the options that a struct declares, by name, in order.

    Examples
    --------
    >>> class Some(msgspec.Struct):
    ...     batch: Annotated[int, option("Clicks in a batch.", ge=1)] = 64
    >>> declared(Some)["batch"].option.help
    'Clicks in a batch.'

    """
    found = {}
    for field in msgspec.structs.fields(struct):
        declaration = option_in(field.type)
        if declaration is not None:
            default = field.default
            if field.default_factory is not msgspec.NODEFAULT:
                default = field.default_factory()
            found[field.name] = Declared(field.name, field.type, default, declaration)
    return found


def documented(struct: type[S]) -> type[S]:
    """Write the options that a struct declares into its docstring, as its parameters."""
    parameters = [f"{each.name}\n    {each.option.help}" for each in declared(struct).values()]
    section = "\n".join(["Parameters", "----------", *parameters, "", ""])
    text = inspect.cleandoc(struct.__doc__ or "")
    at = re.search(r"^(Raises|Examples)\n---", text, re.MULTILINE)
    place = at.start() if at else len(text)
    before = text[:place].rstrip()
    struct.__doc__ = f"{before}\n\n{section}{text[place:]}"
    return struct


def option_in(kind: Any) -> Option | None:
    """Return the declaration that is written into a type.

    Examples
    --------
    >>> option_in(Annotated[int, option("Clicks.", ge=1)] | None).ge, option_in(str)
    (1, None)

    """
    if get_origin(kind) is Annotated:
        return next((each for each in get_args(kind) if isinstance(each, Option)), None)
    return next((found for part in get_args(kind) if (found := option_in(part)) is not None), None)


def choices(kind: Any) -> tuple[Any, ...]:
    """Return the values that a type has where it has only some.

    Examples
    --------
    >>> choices(Literal["auto", "cpu"] | None), choices(int)
    (('auto', 'cpu'), ())

    """
    kind = bare(kind)
    if get_origin(kind) is Literal:
        return get_args(kind)
    return next((found for part in get_args(kind) if (found := choices(part))), ())


def bare(kind: Any) -> Any:
    """Return a type without the declaration that is written into it.

    Examples
    --------
    >>> bare(Annotated[int, option("Clicks.")]), bare(str)
    (<class 'int'>, <class 'str'>)

    """
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def shape(kind: Any) -> str:
    """Return how a value of a type is typed, see `Declared.shape`.

    Examples
    --------
    >>> [shape(kind) for kind in (bool | None, int, list[int] | None, str | float, dict[str, int])]
    ['switch', 'whole', 'list', 'text', 'table']

    """
    kind = bare(kind)
    if kind is AnyTable:
        return "table"
    origin = get_origin(kind) or kind
    if origin in (list, dict):
        return "list" if origin is list else "table"
    if isinstance(origin, type) and origin is not UnionType:
        names = {bool: "switch", int: "whole", float: "number"}
        return "table" if issubclass(origin, msgspec.Struct) else names.get(origin, "text")
    shapes = {shape(part) for part in get_args(kind) if part is not type(None)}
    if "text" in shapes or not shapes:
        return "text"
    return shapes.pop() if len(shapes) == 1 else "number"
