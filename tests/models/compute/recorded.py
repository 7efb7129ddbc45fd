"""A device that records what the host waits for: a GPU's rules, without a GPU.

Tensors on it compute on the host, but lie "elsewhere": whoever mixes them with the host's, or reads
one without copying it, gets an error, as with a GPU. Every copy between the two, and every
operation that makes the host wait for the device, is recorded with the line that asked for it.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from nextclick.models.compute.device import choose_device
from nextclick.models.gru4rec import online, size_check
from nextclick.models.rivals.neural import base as neural

ELSEWHERE = torch.device("meta")
"""Stands for the GPU: torch has it on every machine, and nothing can be computed on it."""

MODELS = Path(__file__).parents[3] / "models"

WAITING = {
    "_local_scalar_dense": "reads one number",
    "_unique": "has a size that depends on the numbers",
    "_unique2": "has a size that depends on the numbers",
    "bincount": "has a size that depends on the numbers",
    "equal": "reads whether all are equal",
    "masked_select": "has a size that depends on the numbers",
    "nonzero": "has a size that depends on the numbers",
    "unique_consecutive": "has a size that depends on the numbers",
    "unique_dim": "has a size that depends on the numbers",
}
"""Operations for which CUDA makes the host wait, without a copy that the caller sees."""


class Remote(Tensor):
    """A tensor that says it is elsewhere; its numbers are in `host_tensor`."""

    host_tensor: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Remote:
        made: Remote = Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=ELSEWHERE,
            requires_grad=inner.requires_grad,
        )
        made.host_tensor = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, *_: Any) -> Any:
        raise RuntimeError("a tensor elsewhere was used by a thread that records nothing")


@dataclass(slots=True)
class Record:
    """What happened between the host and the device.

    Attributes
    ----------
    sent, fetched
        The lines that copied to the device, and back.
    waits
        The lines at which the host waited for the device, and why; also for each of `fetched`.

    """

    sent: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)

    def clear(self) -> None:
        for lines in (self.sent, self.fetched, self.waits):
            lines.clear()


class Recording(TorchDispatchMode):
    """Computes on the host what is asked of the device, and keeps a record."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.record = Record()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        given = tree_flatten((args, kwargs))[0]
        remote = [of for of in given if isinstance(of, Remote)]
        name = function.overloadpacket.__name__
        device = kwargs.get("device")
        lost = [of for of in given if isinstance(of, Tensor) and not isinstance(of, Remote)]
        if any(of.device == ELSEWHERE for of in lost):
            raise AssertionError(f"torch.tensor made the device's numbers: {_line()}")
        moved = self._note(name, args, kwargs, bool(remote))
        if remote and not moved and any(of.ndim for of in lost):
            raise AssertionError(f"{name} mixes the host's numbers with the device's: {_line()}")
        if device is not None:
            kwargs["device"] = "cpu"
        result = function(*tree_map(_inner, args), **tree_map(_inner, kwargs))
        goes = bool(remote) if device is None else torch.device(device) == ELSEWHERE
        if name == "copy_":
            goes = isinstance(args[0], Remote)
        # What an operation changes in place is the same tensor afterwards.
        same = {id(of.host_tensor): of for of in remote}

        def outer(of: Any) -> Any:
            if not goes or not isinstance(of, Tensor):
                return of
            return same[id(of)] if id(of) in same else Remote(of)

        return tree_map(outer, result)

    def _note(self, name: str, args: Any, kwargs: dict[str, Any], remote: bool) -> bool:
        """Record an operation; return whether it moves numbers between host and device."""
        record, line = self.record, ""
        if name == "_to_copy":
            there = isinstance(args[0], Remote)
            device = kwargs.get("device")
            goes = there if device is None else torch.device(device) == ELSEWHERE
            waits = not kwargs.get("non_blocking")
        elif name == "copy_":
            there, goes = isinstance(args[1], Remote), isinstance(args[0], Remote)
            waits = not (len(args) > 2 and args[2]) and not kwargs.get("non_blocking")
        else:
            if remote and (name in WAITING or _masked(name, args)):
                why = WAITING.get(name, "indexes by a mask")
                record.waits.append(f"{name} {why}: {_line()}")
            return False
        if there != goes:
            line = _line()
            (record.fetched if there else record.sent).append(line)
            # What is fetched is read next: so that ends with a wait in any case.
            if there or waits:
                record.waits.append(f"a copy {'back' if there else 'there'}: {line}")
        return there != goes


def _inner(of: Any) -> Any:
    return of.host_tensor if isinstance(of, Remote) else of


def _masked(name: str, args: Any) -> bool:
    if name not in ("index", "index_put", "index_put_", "_index_put_impl_"):
        return False
    return any(of is not None and of.dtype in (torch.bool, torch.uint8) for of in args[1])


def _line() -> str:
    """Return the innermost line of `models` that is being run, transfers left out."""
    for frame in reversed(traceback.extract_stack()):
        path = Path(frame.filename).resolve()
        if path.is_relative_to(MODELS) and path.name != "transfer.py":
            return f"{path.relative_to(MODELS)}:{frame.lineno} {frame.line}"
    return "a test"


def _choose(device: str) -> torch.device:
    return ELSEWHERE if device == "auto" else choose_device(device)


@contextmanager
def recorded() -> Iterator[Record]:
    """Make models of ``device="auto"`` on a device that records; yield its record."""
    with pytest.MonkeyPatch.context() as patch, Recording() as recording:
        for module in (online, neural):
            patch.setattr(module, "choose_device", _choose)
        patch.setattr(size_check, "memory_of", lambda _: 1 << 40)
        yield recording.record
