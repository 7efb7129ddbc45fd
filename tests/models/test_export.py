from __future__ import annotations

import importlib
import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.models.export import ExportError, export_model, load_export

NETWORKS: list[tuple[dict[str, Any], str]] = [
    ({}, "float32"),
    ({"reset": "after", "hidden": [8, 5], "bias": True}, "float32"),
    ({"cell": "lstm", "hidden": [6, 5], "embedding": "separate", "dropout": 0.3}, "float32"),
    (
        {"cell": "rnn", "embedding": "one-hot", "feed_forward": [7, 9], "activation": "gelu"},
        "float64",
    ),
]
ODD: list[str | int] = ["ünï\n", "", "7", 7, -3, 10**30, "\ud800"]


def learned(options: dict[str, Any], dtype: str = "float32") -> OnlineGRU4Rec:
    """Make a model with rows that no item holds."""
    config = GRU4RecConfig(**{"hidden": 8, "n_negatives": 32, "memory": 0, **options})
    model = OnlineGRU4Rec(config, max_items=25, device="cpu", dtype=dtype)
    draw = random.Random(1)
    for _ in range(12):
        sessions = [draw.randrange(9) for _ in range(30)]
        model.learn_many(sessions, [draw.choice([*ODD, *range(100, 140)]) for _ in sessions])
    model.learn_many([1] * len(ODD), ODD)
    return model


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[OnlineGRU4Rec, Path]]:
    """Export once for all tests that only read."""
    folder: Path = tmp_path_factory.mktemp("export") / "not there yet"
    exports = []
    for number, (options, dtype) in enumerate(NETWORKS):
        exports.append((learned(options, dtype), folder / str(number)))
        export_model(*exports[-1])
    return exports


@pytest.fixture(scope="module")
def model(exports: list[tuple[OnlineGRU4Rec, Path]]) -> OnlineGRU4Rec:
    return exports[0][0]


@pytest.fixture(scope="module")
def folder(exports: list[tuple[OnlineGRU4Rec, Path]]) -> Path:
    return exports[0][1]


@pytest.fixture
def altered(folder: Path, tmp_path: Path) -> Path:
    for name in ("model.json", "network.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    return tmp_path


def rewrite(folder: Path, **changes: Any) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("number", range(len(NETWORKS)))
def test_onnx_scores_and_steps_as_the_network_does(
    exports: list[tuple[OnlineGRU4Rec, Path]], number: int
) -> None:
    model, folder = exports[number]
    onnx = importlib.import_module("onnxruntime").InferenceSession(
        folder / "step.onnx", providers=["CPUExecutionProvider"]
    )
    assert [given.name for given in onnx.get_inputs()] == ["state", "row"]
    assert [given.name for given in onnx.get_outputs()] == ["scores", "new_state"]

    used = model.vocabulary.used
    draw = torch.Generator().manual_seed(5)
    for size in (1, 2, 7):
        state = torch.randn(size, model.network.width, generator=draw, dtype=model.dtype)
        for _ in range(3):
            row = torch.randint(1, used, (size,), generator=draw)
            scores, new_state = onnx.run(None, {"state": state.float().numpy(), "row": row.numpy()})
            with torch.no_grad():
                state = model.network.step(model.items.inputs.values[row], state)
                expected = torch.addmm(
                    model.items.bias.values[:used],
                    model.network.output(state),
                    model.items.embedding.values[:used].T,
                )
            assert scores.dtype == new_state.dtype == np.float32
            np.testing.assert_allclose(new_state, state.numpy(), rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(scores, expected.numpy(), rtol=1e-5, atol=1e-5)
            empty = np.isneginf(scores).all(axis=0)
            assert empty[0]
            assert empty.sum() == used - model.n_items > 1


@pytest.mark.parametrize("number", range(len(NETWORKS)))
def test_what_is_loaded_recommends_as_the_model_does(
    exports: list[tuple[OnlineGRU4Rec, Path]], number: int
) -> None:
    model, folder = exports[number]
    loaded = load_export(folder)
    assert loaded.config == model.config
    sessions: list[list[str | int]] = [[7], ["7"], ODD, ["never seen", 7, 10**30], ["none"], []]
    for session in sessions:
        for k in (1, 5, 1000):
            found, expected = loaded.recommend(session, k), model.recommend(session, k)
            assert [item for item, _ in found] == [item for item, _ in expected]
            # The model steps through a whole window at once: other products, other last bits.
            assert [s for _, s in found] == pytest.approx([s for _, s in expected], abs=1e-5)


def test_items_come_back_as_they_went_in_each_at_its_row(
    model: OnlineGRU4Rec, folder: Path
) -> None:
    items = load_export(folder).items
    known = [item for item in items if item is not None]
    assert len(known) == model.n_items < len(items) == model.vocabulary.used
    assert items[0] is None
    assert [items[row] for row in model.vocabulary.rows_of(ODD)] == ODD
    assert [type(item) for item in known] == [
        type(model.vocabulary.id_of(row)) for row, item in enumerate(items) if item is not None
    ]


def test_tied_tables_are_kept_once(folder: Path) -> None:
    tensors = load_file(folder / "network.safetensors")
    assert sorted(name for name in tensors if not name.startswith("network.")) == [
        "bias",
        "embedding",
    ]


def test_the_model_stays_as_it_was_and_apart(tmp_path: Path) -> None:
    model, other = (learned({"loss": "full-cross-entropy"}) for _ in range(2))
    export_model(model, tmp_path)
    for name, array in model.state().arrays.items():
        np.testing.assert_array_equal(array, other.state().arrays[name])
    before = load_export(tmp_path).recommend([7])
    model.learn_many([1, 1], [7, 7])
    other.learn_many([1, 1], [7, 7])
    assert model.recommend([7]) == other.recommend([7]) != before
    assert load_export(tmp_path).recommend([7]) == before


def test_the_files_tell_nothing_of_the_machine(folder: Path) -> None:
    names = ["model.json", "network.safetensors", "step.onnx"]
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        content = (folder / name).read_bytes()
        for place in (str(Path.cwd()), sys.prefix, ".py"):
            assert place.encode() not in content


def test_a_model_that_knows_nothing_yet_can_be_exported(tmp_path: Path) -> None:
    export_model(OnlineGRU4Rec(GRU4RecConfig(hidden=4), device="cpu"), tmp_path)
    assert load_export(tmp_path).recommend(["shoes"]) == []


def test_a_folder_in_use_is_refused_and_left_alone(model: OnlineGRU4Rec, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ExportError, match="holds something already: empty it, or choose another"):
        export_model(model, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(ExportError, match=r"cannot write an export to .*mine\.txt"):
        export_model(model, tmp_path / "mine.txt")
    with pytest.raises(ExportError, match=r"cannot write an export to .*mine\.txt"):
        export_model(model, tmp_path / "mine.txt" / "below")


def test_a_missing_library_is_named_and_nothing_is_written(
    model: OnlineGRU4Rec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ExportError, match=r"onnxscript.*pip install 'nextclick\[onnx\]'"):
        export_model(model, tmp_path / "export")
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_fails_leaves_nothing(
    model: OnlineGRU4Rec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(ExportError, match="no space left"):
        export_model(model, tmp_path / "export")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["model.json", "network.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff\xfe garbage", b"[1, 2]"])
def test_a_file_that_is_missing_or_no_such_file_is_named(
    altered: Path, name: str, content: bytes | None
) -> None:
    (altered / name).unlink()
    if content is not None:
        (altered / name).write_bytes(content)
    with pytest.raises(ExportError, match=f"{name}.* export the model again"):
        load_export(altered)


@pytest.mark.parametrize("size", [10, 1000])
def test_a_cut_file_is_named(altered: Path, size: int) -> None:
    path = altered / "network.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ExportError, match=r"network\.safetensors"):
        load_export(altered)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"format": "nextclick export 2"}, r"model\.json.*nextclick export 2"),
        ({"recipe": {"hidden": 8, "hiden": 8}}, r"model\.json.*hiden"),
        ({"recipe": {"hidden": 0}}, r"model\.json.*hidden must be at least 1"),
        ({"dtype": "float12"}, r"model\.json.*float12"),
        ({"items": [None, 1.5]}, r"model\.json.*items"),
        ({"recipe": {"hidden": 9}}, r"network\.safetensors.*size mismatch"),
        ({"recipe": {"hidden": 8, "cell": "rnn"}}, r"network\.safetensors.*size mismatch"),
        ({"recipe": {"hidden": 8, "embedding": "separate"}}, r"network\.safetensors.*inputs"),
        ({"items": [None, "shoes"]}, r"network\.safetensors.*size mismatch"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    altered: Path, changes: dict[str, Any], complaint: str
) -> None:
    rewrite(altered, **changes)
    with pytest.raises(ExportError, match=f"(?s){complaint}"):
        load_export(altered)


def test_a_table_too_many_is_refused(altered: Path) -> None:
    path = altered / "network.safetensors"
    save_file({**load_file(path), "stranger": torch.zeros(1)}, path)
    with pytest.raises(ExportError, match=r"(?s)network\.safetensors.*stranger"):
        load_export(altered)
