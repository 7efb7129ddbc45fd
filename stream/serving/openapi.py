"""The interface as OpenAPI describes it, made of the types that requests are read by."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from typing import Any

import msgspec

from .requests import Request, Requests
from .responses import Failure, Many, Recommended

REF = "#/components/schemas/{name}"
TYPES = (Request, Requests, Recommended, Many, Failure)


def document(paths: dict[str, dict[str, Any]], needs_key: bool) -> dict[str, Any]:
    """Return the description.

    Parameters
    ----------
    paths
        The value of ``paths``.
    needs_key
        Whether requests must bring a key.

    """
    _, schemas = msgspec.json.schema_components(TYPES, ref_template=REF)
    schemas["Item"]["additionalProperties"] = {"description": "A field of the item's data."}
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "nextclick",
            "description": "Recommends what the visitors of a site will click next.",
            "version": metadata.version("nextclick"),
        },
        "paths": paths,
        "components": {"schemas": schemas},
    }
    if needs_key:
        described["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        described["security"] = [{"key": []}]
    return described


def ref(kind: type) -> dict[str, str]:
    """Return a reference to the schema of a type."""
    return {"$ref": REF.format(name=kind.__name__)}


def response(description: str, schema: dict[str, Any], kind: str = "application/json") -> Any:
    """Return the description of an answer."""
    return {"description": description, "content": {kind: {"schema": schema}}}


def failures(*statuses: int) -> dict[str, Any]:
    """Return the descriptions of the error answers."""
    words = {
        400: "The request is invalid; the message says why.",
        401: "The key is missing or wrong.",
        408: "The body came too slowly.",
        413: "The body is too large.",
        503: "The model cannot answer just now; try again.",
    }
    return {str(status): response(words[status], ref(Failure)) for status in statuses}


def plain_operation(summary: str, answers: Iterable[tuple[int, str]], kind: str) -> dict[str, Any]:
    """Return the description of a GET without parameters."""
    schema = {"type": "string" if kind.startswith("text/") else "object"}
    responses = {str(status): response(words, schema, kind) for status, words in answers}
    return {"get": {"summary": summary, "responses": responses}}


def recommend_operations() -> dict[str, Any]:
    """Return the description of ``/v1/recommend``."""
    own = msgspec.json.schema_components([Request], ref_template=REF)[1]["Request"]
    documented = {
        "session": "The id of a session in the stream.",
        "items": "Instead of a session: clicked items, oldest first, separated by commas.",
        "k": "Number of items in the list.",
        "exclude": "Which items of the session to exclude.",
        "without": "Further items to exclude, separated by commas.",
        "among": "Items to choose from, separated by commas; by default the whole catalogue.",
        "filter": (
            "Fields of the items' data, each a parameter of its own: category=shoes,hats leaves "
            "the items that have one of these values in that field."
        ),
    }
    parameters = []
    for name, schema in own["properties"].items():
        parameter = {
            "name": name,
            "in": "query",
            "description": documented[name],
            "schema": schema,
        }
        if name in ("items", "without", "among"):
            parameter |= {"style": "form", "explode": False}
        elif name == "filter":
            parameter |= {"style": "form", "explode": True}
        parameters.append(parameter)
    answers = {"200": response("The best items, best first.", ref(Recommended))}
    return {
        "get": {
            "summary": "Recommend items to a visitor",
            "operationId": "recommend",
            "parameters": parameters,
            "responses": answers | failures(400, 401, 503),
        },
        "post": {
            "summary": "Recommend items to one visitor or to several",
            "operationId": "recommendMany",
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {"oneOf": [ref(Request), ref(Requests)]}}
                },
            },
            "responses": {
                "200": response(
                    "A list, or several in the order of the requests.",
                    {"oneOf": [ref(Recommended), ref(Many)]},
                )
            }
            | failures(400, 401, 408, 413, 503),
        },
    }
