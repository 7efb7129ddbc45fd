from __future__ import annotations

import pytest

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from tests.models.rivals.learned import drive, make, stream


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_it_is_the_online_model_with_that_cell_and_no_memory(cell: str) -> None:
    name = f"gru4rec-{cell}"
    model = make(name, learning_rate=0.02, identity=4.0)
    assert isinstance(model, OnlineGRU4Rec)
    options = {"hidden": 8, "window": 4, "n_negatives": 16, "learning_rate": 0.02, "identity": 4.0}
    config = GRU4RecConfig(memory=0, cell=cell, **options)  # type: ignore[arg-type]
    plain = OnlineGRU4Rec(config, seed=1, device="cpu", dtype="float64")
    assert model.config == config
    clicks = stream(160)
    assert drive(model, clicks, 16) == drive(plain, clicks, 16)


@pytest.mark.parametrize("option", ["cell", "memory"])
def test_what_makes_it_what_it_is_is_no_option(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} is always .* here: leave the option out"):
        make("gru4rec-lstm", **{option: "gru" if option == "cell" else 7})
