"""What is asked for over HTTP: read, checked and bounded before anything else sees it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Protocol
from urllib.parse import unquote_to_bytes

import msgspec

from nextclick.connectors import Id
from nextclick.connectors.spelling import nearest

LARGEST_BODY = 1 << 20
"""Bytes of a body at most."""

LONGEST_ID = 1024
"""Characters of an id at most, as for the sources of clicks."""

LARGEST_NUMBER = (1 << 63) - 1
"""An id that is a number lies within 64 bits."""

MOST_ITEMS = 200
"""Clicks of a session that is given with its request."""

MOST_RECOMMENDED = 1000
"""Items in a list at most."""

MOST_FILTERED = 10_000
"""Items that a request may leave out, or choose from."""

MOST_REQUESTS = 100
"""Requests that may come at once."""

MOST_FIELDS = 10
"""Fields that a request may filter by."""

MOST_VALUES = 100
"""Values of a field that a request may name."""

MOST_NAMED = 20
"""Fields of items that a message names."""

NAMES = ("session", "items", "k", "exclude", "without", "among")
"""The parameters of an address; others are fields of items to filter by."""


class BadRequestError(Exception):
    """A wrong request; the message names the mistake and the remedy.

    Parameters
    ----------
    message
        A sentence for whoever wrote the request.
    status
        The status of the answer, 4xx.

    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


Text = Annotated[str, msgspec.Meta(max_length=LONGEST_ID)]
Number = Annotated[int, msgspec.Meta(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
Filter = Annotated[list[Text | Number], msgspec.Meta(max_length=MOST_FILTERED)]
Values = Annotated[
    list[Text | Number | float | bool], msgspec.Meta(min_length=1, max_length=MOST_VALUES)
]


class Fields(Protocol):
    """The fields by which items can be filtered."""

    @property
    def names(self) -> list[str]:
        """All of them."""
        ...

    def has(self, name: str) -> bool:
        """Whether there is such a field."""
        ...


class Request(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A list that is wanted.

    Parameters
    ----------
    session
        The id of a session of the stream, as it was read so far.
    items
        Or a session of one's own: what was clicked, oldest first.
    k
        How many items the list is to hold.
    exclude
        What of the session itself is left out: its last item (``current``), all its items
        (``session``), or nothing (``none``).
    without
        Items that are left out too.
    among
        Items to choose from; all where it is not given.
    filter
        For each field of the items' data the values of which an item must have one.

    """

    session: Text | Number | None = None
    items: Annotated[list[Text | Number], msgspec.Meta(max_length=MOST_ITEMS)] | None = None
    k: Annotated[int, msgspec.Meta(ge=1, le=MOST_RECOMMENDED)] = 20
    exclude: Literal["current", "session", "none"] = "current"
    without: Filter = []
    among: Filter | None = None
    filter: Annotated[dict[Text, Values], msgspec.Meta(max_length=MOST_FIELDS)] = {}


class Requests(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Several lists that are wanted at once; they are answered in their order."""

    requests: Annotated[list[Request], msgspec.Meta(min_length=1, max_length=MOST_REQUESTS)]


_ONE = msgspec.json.Decoder(Request)
_MANY = msgspec.json.Decoder(Requests)
_NO_JSON = (msgspec.DecodeError, ValueError, RecursionError)


def read_query(query: bytes, fields: Fields | None = None) -> Request:
    """Read a request from the query of an address, such as ``session=anna&k=5``.

    Commas separate items, and values of a field; one within an item is written ``%2C``.

    Parameters
    ----------
    query
        The query.
    fields
        By which items can be filtered; None: by none.

    Raises
    ------
    BadRequestError
        It is wrong.

    Examples
    --------
    >>> request = read_query(b"items=hat,red%20shoes&k=5")
    >>> request.items, request.k
    (['hat', 'red shoes'], 5)

    """
    given: dict[str, Any] = {}
    for part in query.split(b"&") if query else ():
        name, equals, value = part.partition(b"=")
        if not part:
            continue
        field = _text(name)
        if field not in NAMES:
            if fields is None or not fields.has(field):
                raise _unknown(f"there is no parameter {field!r:.80}", NAMES, fields)
            if not value:
                raise BadRequestError(f"the parameter {field} has no value: write {field}=...")
            wanted = given.setdefault("filter", {}).setdefault(field, [])
            wanted += [_text(one) for one in value.split(b",")]
            continue
        if field in given:
            raise BadRequestError(f"the parameter {field} is given twice: give it once")
        if not equals:
            raise BadRequestError(f"the parameter {field} has no value: write {field}=...")
        if field in ("items", "without", "among"):
            given[field] = [_text(item) for item in value.split(b",")] if value else []
        else:
            given[field] = _text(value)
    if "k" in given:
        try:
            given["k"] = int(given["k"])
        except ValueError:
            raise BadRequestError(f"k must be a whole number, not {given['k']!r:.80}") from None
    try:
        request = msgspec.convert(given, Request)
    except (msgspec.ValidationError, OverflowError) as error:
        raise BadRequestError(_sentence(error, "the request")) from error
    return _checked(request, "", fields)


def read_body(body: bytes, fields: Fields | None = None) -> tuple[list[Request], bool]:
    """Read one request, or several, from a body of JSON.

    Parameters
    ----------
    body
        The body.
    fields
        By which items can be filtered; None: by none.

    Returns
    -------
    requests
        In their order.
    many
        Whether several were asked for at once, so that a list of answers is wanted.

    Raises
    ------
    BadRequestError
        It is wrong.

    """
    try:
        return [_checked(_ONE.decode(body), "", fields)], False
    except msgspec.ValidationError as error:
        if str(error) != "Object contains unknown field `requests`":
            raise BadRequestError(_sentence(error, "the body")) from error
    except _NO_JSON as error:
        raise BadRequestError(f"the body is not valid JSON: {error}") from error
    try:
        requests = _MANY.decode(body).requests
    except msgspec.ValidationError as error:
        raise BadRequestError(_sentence(error, "the body")) from error
    except _NO_JSON as error:
        raise BadRequestError(f"the body is not valid JSON: {error}") from error
    return [
        _checked(request, f"requests[{at}]: ", fields) for at, request in enumerate(requests)
    ], True


def _unknown(what: str, names: Sequence[str], fields: Fields | None) -> BadRequestError:
    """Return the error of a name that is none of the parameters, nor a field of the items."""
    found = [] if fields is None else fields.names
    name = what.rpartition("'")[0].rpartition("'")[2]
    words = nearest(name, [*names, *found])
    if not words:
        words = f": there are {', '.join(names)}" if names else ""
        shown = ", ".join(f"{one:.80}" for one in found[:MOST_NAMED])
        more = f" and {len(found) - MOST_NAMED:,} more" if len(found) > MOST_NAMED else ""
        if found:
            words += f"{', and' if names else ': there are'} the fields {shown}{more} of the items"
    return BadRequestError(f"{what}{words}")


def _checked(request: Request, where: str, fields: Fields | None) -> Request:
    for name in request.filter:
        if fields is None:
            raise BadRequestError(
                f"{where}this server has no data of items to filter by: start it with --items"
            )
        if not fields.has(name):
            raise _unknown(f"{where}no item has a field {name!r:.80}", (), fields)
    if request.session is not None and request.items is not None:
        raise BadRequestError(f"{where}give a session or items, not both")
    for text in _texts(request):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadRequestError(
                f"{where}an id contains an unpaired surrogate: {text!r:.80}"
            ) from None
    return request


def _texts(request: Request) -> Iterator[str]:
    """Return the ids that are texts and may hold what no text in UTF-8 does."""
    groups: Sequence[Sequence[Id]] = (
        () if request.session is None else (request.session,),
        request.items or (),
        request.without,
        request.among or (),
        [one for values in request.filter.values() for one in values if isinstance(one, str)],
    )
    for group in groups:
        for one in group:
            if type(one) is str and not one.isascii():
                yield one


def _text(raw: bytes) -> str:
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise BadRequestError(f"the query is not valid UTF-8: {raw!r:.80}") from None


def _sentence(error: Exception, what: str) -> str:
    """Return msgspec's message about a request in words for its writer."""
    words, _, place = str(error).partition(" - at `$")
    words = words.replace("`", "")
    place = place.rstrip("`").lstrip(".")
    return f"{what} is wrong{f' at {place}' if place else ''}: {words[:1].lower()}{words[1:]}"
