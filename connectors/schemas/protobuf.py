"""Records of Protobuf, by Google's own implementation."""

from __future__ import annotations

import base64
import binascii
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from ..decoding.values import UnusableError
from ..source import SourceError
from .proto_texts import BUILT_IN, mark_map_entries, names_map_entries, without_map_entries
from .protobuf_values import plain
from .registry import Reference, Schema, SchemaRegistry

try:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    from google.protobuf.message import DecodeError
    from grpc_tools import protoc
except ImportError as missing:
    raise SourceError(
        "records of Protobuf need the packages protobuf and grpcio-tools: "
        "pip install 'nextclick[protobuf]'"
    ) from missing

NAME = "nextclick_record.proto"
"""What a schema's file is called."""

MOST_INDEXES = 32
"""Levels that the type of a record may be nested in at most."""


def protobuf_decoder(schema: Schema, registry: SchemaRegistry) -> Callable[[bytes], Any]:
    """Return what decodes records of a schema.

    Parameters
    ----------
    schema
        The schema, as text or as a descriptor in Base64.
    registry
        Where those are that it imports.

    Raises
    ------
    UnusableError
        It is no schema of Protobuf, or one that it imports is missing.

    """
    with tempfile.TemporaryDirectory() as folder:
        files = _compiled(schema, registry, Path(folder))
    pool = descriptor_pool.DescriptorPool()
    try:
        for file in files:
            pool.Add(file)
        types = pool.FindFileByName(NAME)
    except Exception as error:  # It raises whatever the descriptors lead to.
        raise UnusableError("bad_schema", f"it is no schema of Protobuf: {error!s:.200}") from error
    with_entries = names_map_entries(schema.text) or _described(schema.text) is not None
    chosen: dict[tuple[int, ...], Any] = {}

    def decode(data: bytes) -> Any:
        indexes, at = _indexes(data)
        kind = chosen.get(indexes)
        if kind is None:
            kind = chosen[indexes] = message_factory.GetMessageClass(
                _find(types, indexes, with_entries)
            )
        message = kind()
        try:
            message.ParseFromString(data[at:])
            return plain(message)
        except (DecodeError, ValueError, OverflowError, RecursionError) as error:
            raise UnusableError("bad_protobuf", f"it does not fit: {error!s:.200}") from error

    return decode


def _indexes(data: bytes) -> tuple[tuple[int, ...], int]:
    """Return the places of the record's type in the schema, level by level, and where they end."""
    count, at = _varint(data, 0)
    if count == 0:
        return (0,), at
    if not 0 < count <= MOST_INDEXES:
        raise UnusableError("bad_protobuf", f"it says that its type is nested in {count:,} others")
    indexes = []
    for _ in range(count):
        index, at = _varint(data, at)
        indexes.append(index)
    return tuple(indexes), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 63:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7
    raise UnusableError("bad_protobuf", "it ends before it says which type it is of")


def _find(file: Any, indexes: tuple[int, ...], with_entries: bool) -> Any:
    """Return a type by its place; those in a file are listed in order.

    Types of maps' entries count `with_entries` only: where the schema says them.
    """
    kinds = list(file.message_types_by_name.values())
    found = None
    for index in indexes:
        if not 0 <= index < len(kinds):
            raise UnusableError("bad_protobuf", f"its schema has no type at {list(indexes)}")
        found = kinds[index]
        kinds = [
            kind for kind in found.nested_types if with_entries or not kind.GetOptions().map_entry
        ]
    return found


def _compiled(schema: Schema, registry: SchemaRegistry, folder: Path) -> list[Any]:
    """Return the descriptors of a schema, and of all that it imports, those first."""
    texts: dict[str, str] = {}
    _gather(schema, registry, NAME, texts, set())
    for name, text in texts.items():
        if ".." in PurePosixPath(name).parts or name.startswith("/"):
            raise UnusableError("bad_schema", f"it imports '{name:.100}', which is no path")
        _write(folder / "in" / name, without_map_entries(text))
    for name, text in BUILT_IN.items():
        _write(folder / "own" / name, text)
    if any(_described(text) is not None for text in texts.values()):
        return _of_descriptors(texts)
    result = folder / "out"
    # By a process of its own: it writes what is wrong to standard error, past Python's.
    done = subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc"),
            f"--proto_path={folder / 'in'}",
            f"--proto_path={folder / 'own'}",
            f"--proto_path={Path(protoc.__file__).parent / '_proto'}",
            *("--include_imports", f"--descriptor_set_out={result}", NAME),
        ],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = " ".join(done.stderr.decode("utf-8", "replace").replace(f"{NAME}:", "").split())
        raise UnusableError("bad_schema", f"it is no schema of Protobuf: {said:.200}")
    files = descriptor_pb2.FileDescriptorSet.FromString(result.read_bytes()).file
    for file in files:
        if names_map_entries(texts.get(file.name, "")):
            mark_map_entries(file.message_type)
    return list(files)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _gather(
    schema: Schema,
    registry: SchemaRegistry,
    name: str,
    texts: dict[str, str],
    seen: set[Reference],
) -> None:
    if schema.kind != "PROTOBUF":
        raise UnusableError("bad_schema", f"'{name}' is of the type {schema.kind:.40}")
    texts[name] = schema.text
    for reference in schema.references:
        if reference in seen:
            continue
        seen.add(reference)
        found = registry.referenced(reference)
        _gather(found, registry, reference.name, texts, seen)


def _described(text: str) -> Any:
    """Return the descriptor that a schema is where it is one, in Base64; None where it is text."""
    try:
        return descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, DecodeError):
        return None


def _of_descriptors(texts: dict[str, str]) -> list[Any]:
    """Return descriptors, each after those that it imports."""
    files: dict[str, Any] = {}
    for name, text in texts.items():
        file = _described(text)
        if file is None:
            raise UnusableError("bad_schema", "it is partly text and partly a descriptor")
        file.name = name
        files[name] = file
    ordered: dict[str, Any] = {}

    def add(name: str) -> None:
        if name in ordered:
            return
        if name in files:
            file = files.pop(name)
            for imported in file.dependency:
                add(imported)
            ordered[name] = file
        elif name.startswith("google/protobuf/"):
            module = __import__(
                name.removesuffix(".proto").replace("/", ".") + "_pb2", fromlist=["DESCRIPTOR"]
            )
            ordered[name] = descriptor_pb2.FileDescriptorProto.FromString(
                module.DESCRIPTOR.serialized_pb
            )
        else:
            raise UnusableError("bad_schema", f"'{name}', which it imports, is not there")

    add(NAME)
    return list(ordered.values())
