"""Export of a model that only scores: its network, its catalogue, and one step as ONNX."""

from __future__ import annotations

import copy
import importlib
import json
import logging
import os
import shutil
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .argument_checks import at_least, id_list
from .gru4rec.config import GRU4RecConfig, with_present_names
from .gru4rec.network import GRU4Rec
from .gru4rec.online import OnlineGRU4Rec
from .recommender import Id

FORMAT: Final = "nextclick export 1"


class ExportError(Exception):
    """An export cannot be written or read; the message names the place and the remedy."""


class About(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What ``model.json`` holds.

    Parameters
    ----------
    format
        `FORMAT`, the version of the files' format.
    config
        What the network is made of, and how it was taught.
    dtype
        Of all numbers.
    items
        The item of every row; None where a row holds no item, as row 0.

    """

    format: Literal["nextclick export 1"] = FORMAT
    config: GRU4RecConfig = msgspec.field(name="recipe")
    dtype: str
    items: list[str | int | None]


class Step(nn.Module):
    """One click further: what the network makes of it, and how it scores every item next.

    Parameters
    ----------
    network
        From clicks to outputs.
    embedding, bias
        (rows, size) and (rows,): of every item, for the scores.
    inputs
        (rows, inputs): what the network reads of every item; None where that is `embedding`.

    """

    embedding: Tensor
    bias: Tensor
    inputs: Tensor

    def __init__(
        self, network: GRU4Rec, embedding: Tensor, bias: Tensor, inputs: Tensor | None
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("embedding", embedding)
        self.register_buffer("bias", bias)
        self.tied = inputs is None
        if inputs is not None:
            self.register_buffer("inputs", inputs)

    def forward(self, state: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        """Take one step.

        Parameters
        ----------
        state
            (b, width): the sessions' states; zero before a session's first click.
        row
            int64 (b,): rows of the clicked items.

        Returns
        -------
        scores
            (b, rows): minus infinity for a row that holds no item.
        new_state
            (b, width).

        """
        read = nn.functional.embedding(row, self.embedding if self.tied else self.inputs)
        new_state = self.network.step(read, state)
        scores = torch.addmm(self.bias, self.network.output(new_state), self.embedding.T)
        return scores, new_state


class ExportedModel:
    """What `load_export` returns: a model that scores, and learns no more.

    Parameters
    ----------
    config
        What the network is made of, and how it was taught.
    items
        The item of every row; None where a row holds no item.
    step
        The network with its tables.

    """

    def __init__(self, config: GRU4RecConfig, items: list[Id | None], step: Step) -> None:
        self.config = config
        self.items = items
        self.step = step
        self._rows = {item: row for row, item in enumerate(items) if item is not None}

    @torch.no_grad()
    def recommend(self, items: Iterable[Id], k: int = 20) -> list[tuple[Id, float]]:
        """Return the k best next items, as `OnlineGRU4Rec.recommend` would.

        Parameters
        ----------
        items
            The session so far, oldest first; unknown items are ignored.
        k
            At most this many are given.

        Returns
        -------
        list of (item, score)
            Best first. Empty where no item of the session is known.

        """
        items, k = id_list(items, "items"), at_least(k, "k", 1)
        state = self.step.bias.new_zeros((1, self.step.network.width))
        scores = None
        for item in items:
            if item in self._rows:
                scores, state = self.step(state, torch.tensor([self._rows[item]]))
        if scores is None:
            return []
        best = torch.topk(scores[0], min(k, len(self.items)))
        return [
            (item, score)
            for row, score in zip(best.indices.tolist(), best.values.tolist(), strict=True)
            if (item := self.items[row]) is not None
        ]


def export_model(model: OnlineGRU4Rec, folder: str | os.PathLike[str]) -> None:
    """Write what is needed to ask a model for the next item, without what it needs to learn.

    Three files: ``network.safetensors``, the network's weights and the item tables;
    ``model.json``, the configuration and the item of every row (see `About`); ``step.onnx``, the
    function of `Step`. Its inputs are ``state`` (b, width) and ``row``, int64 (b,); its outputs
    ``scores`` (b, rows) and ``new_state`` (b, width), for any b, in float32 whatever the model's
    type. Weights of more than 2 GB lie beside it, in ``step.onnx.data``.

    A program in any language keeps a state for each session, zeros at first, and feeds it the row
    of every click; clicks of items that ``model.json`` does not list are ignored.

    Parameters
    ----------
    model
        Stays as it is.
    folder
        Is made, or is empty. It appears whole or not at all.

    Raises
    ------
    TypeError
        It is not an `OnlineGRU4Rec`.
    ExportError
        The folder holds something, cannot be written, or a library is missing.

    """
    if not isinstance(model, OnlineGRU4Rec):
        raise TypeError(f"only an OnlineGRU4Rec can be exported, not {model!r:.80}")
    try:
        importlib.import_module("onnxscript")
    except ImportError as error:
        raise ExportError(
            f"exporting needs a library that is not installed ({error}): "
            "pip install 'nextclick[onnx]'"
        ) from error
    folder = Path(folder).absolute()
    temporary = folder.with_name(f".tmp-{folder.name}")
    try:
        if folder.exists() and any(folder.iterdir()):
            raise ExportError(f"{folder} holds something already: empty it, or choose another")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        _write(model, temporary)
        temporary.rename(folder)
    except (OSError, SafetensorError) as error:
        raise ExportError(f"cannot write an export to {folder}: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load_export(folder: str | os.PathLike[str]) -> ExportedModel:
    """Read what `export_model` wrote, but for the ONNX file; on the CPU.

    Raises
    ------
    ExportError
        A file is missing, damaged or of another version, or the files do not fit together.

    """
    path = Path(folder) / "model.json"
    try:
        written = json.loads(path.read_bytes())
        if isinstance(written, dict) and isinstance(written.get("recipe"), dict):
            written["recipe"] = with_present_names(written["recipe"])
        about = msgspec.convert(written, About)
        model = OnlineGRU4Rec(about.config, device="cpu", dtype=about.dtype)
        path = Path(folder) / "network.safetensors"
        tensors = load_file(path)
        for table in (model.items.embedding, model.items.inputs, model.items.bias):
            table.reserve(len(about.items))
        step = _step(model, len(about.items))
        step.load_state_dict(tensors)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ExportError(
            f"{path} cannot be read as part of a {FORMAT!r}: {error}; "
            "export the model again with this version"
        ) from error
    return ExportedModel(about.config, about.items, step)


def _write(model: OnlineGRU4Rec, folder: Path) -> None:
    used = model.vocabulary.used
    step = _step(model, used)
    save_file(step.state_dict(), folder / "network.safetensors")
    catalogue, _ = model.vocabulary.state()
    items: list[Id | None] = catalogue["items"]
    about = About(config=model.config, dtype=str(model.dtype).removeprefix("torch."), items=items)
    # The json of Python, not msgspec's: it takes whole numbers and texts of every kind.
    (folder / "model.json").write_text(json.dumps(msgspec.to_builtins(about)), encoding="utf-8")
    # Few runtimes know every operation in other types.
    _write_onnx(step.float(), folder / "step.onnx")


def _step(model: OnlineGRU4Rec, rows: int) -> Step:
    """Copy the network and the first rows of its tables to the CPU."""
    network = copy.deepcopy(model.network).cpu().requires_grad_(requires_grad=False)
    tables = model.items
    embedding, bias, inputs = (
        table.values[:rows].to("cpu", copy=True)
        for table in (tables.embedding, tables.bias, tables.inputs)
    )
    return Step(network, embedding, bias, None if tables.tied else inputs).eval()


def _write_onnx(step: Step, path: Path) -> None:
    # Two sessions, as an example: one alone would be taken for a fixed size.
    state = step.bias.new_zeros((2, step.network.width))
    row = torch.zeros(2, dtype=torch.int64)
    with _quiet():
        program = torch.onnx.export(
            step,
            (state, row),
            dynamo=True,
            verbose=False,
            input_names=["state", "row"],
            output_names=["scores", "new_state"],
            dynamic_shapes={"state": {0: "batch"}, "row": {0: "batch"}},
        )
        assert program is not None
        # The exporter notes where in the sources each node comes from, with this machine's paths.
        graph = program.model.graph
        for part in (program.model, *graph, *graph.inputs, *graph.outputs):
            part.metadata_props.clear()
        for tensor in graph.initializers.values():
            tensor.metadata_props.clear()
        program.save(path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporter says of its own libraries: none of it is the user's doing."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
