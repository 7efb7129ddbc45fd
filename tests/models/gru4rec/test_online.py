from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec, ranking
from nextclick.models.compute import background as aside
from nextclick.models.compute import snapshot_buffer as copies
from nextclick.models.compute.snapshot_buffer import SnapshotBuffer
from nextclick.models.gru4rec.network import ACTIVATIONS
from nextclick.models.losses import LOSSES, sampled_cross_entropy
from nextclick.models.memory.history import SPECIAL
from nextclick.models.optim import RULES
from nextclick.models.score_blocks import ScoreBlocks

EMBEDDINGS = ["tied", "separate", "one-hot"]

Stream = tuple[list[str | int], list[str | int]]


def model(seed: int = 1, **options: object) -> OnlineGRU4Rec:
    config = GRU4RecConfig(**{"hidden": 12, "window": 4, "n_negatives": 16, "memory": 0, **options})  # type: ignore[arg-type]
    return OnlineGRU4Rec(config, seed=seed, device="cpu", dtype="float64")


def stream(clicks: int, seed: int = 0, sessions: int = 8, items: int = 15) -> Stream:
    draw = np.random.default_rng(seed)
    return (
        [f"s{number}" for number in draw.integers(sessions, size=clicks)],
        [int(number) for number in draw.zipf(1.3, size=clicks) % items],
    )


def drive(learner: OnlineGRU4Rec, clicks: Stream, batch: int) -> list[int]:
    ranks = []
    for start in range(0, len(clicks[0]), batch):
        part = slice(start, start + batch)
        tested = learner.test_then_learn(clicks[0][part], clicks[1][part])
        ranks += np.where(tested.scored, tested.ranks, -1).tolist()
    return ranks


DEEP: dict[str, Any] = {"hidden": [12, 7], "feed_forward": [5]}


@pytest.mark.parametrize(
    ("options", "window", "batch"),
    [({}, window, batch) for window in (1, 3, 100) for batch in (1, 5, 60)]
    + [
        ({"reset": "after"}, 3, 5),
        ({"cell": "lstm", **DEEP}, 3, 5),
        ({"cell": "rnn", "embedding": "one-hot"}, 3, 5),
        ({"embedding": "separate", **DEEP}, 3, 5),
    ],
)
def test_gradient_is_that_of_bptt_cut_after_k_steps(
    options: dict[str, Any], window: int, batch: int
) -> None:
    """By hand: run from zero with constants up to K clicks before, then K steps with gradient."""
    learner = model(window=window, **options)
    sessions, items = stream(60, sessions=3)
    rows, new = learner.vocabulary.admit(items)
    learner.items.draw(torch.from_numpy(rows[new]), learner.vocabulary.used)
    weights = list(learner.network.parameters())
    table = learner.items.inputs.values
    direction = torch.randn(60, learner.network.size, dtype=torch.float64)

    past: dict[object, list[int]] = {}
    total = torch.zeros((), dtype=torch.float64)
    for place, (session, row) in enumerate(zip(sessions, rows.tolist(), strict=True)):
        before = past.setdefault(session, [])
        if before:
            state = torch.zeros(1, learner.network.width, dtype=torch.float64)
            for step, clicked in enumerate(before):
                if step == len(before) - window:
                    state = state.detach()
                state = learner.network.step(table[clicked][None], state)
            total = total + (learner.network.output(state)[0] * direction[place]).sum()
        before.append(row)
    expected = torch.autograd.grad(total, weights)

    found = [torch.zeros_like(weight) for weight in weights]
    for start in range(0, 60, batch):
        windows = learner.sessions.align_windows(sessions[start : start + batch])
        histories, states = learner.sessions.histories(
            windows, learner.items.keys_of(torch.from_numpy(rows[start : start + batch]))
        )
        starts, ends = learner._slide(windows, histories, states)
        _, _, outputs = learner._forward(windows, histories, starts)
        if len(outputs):
            loss = (outputs * direction[windows.scored + start]).sum()
            for sum_, part in zip(found, torch.autograd.grad(loss, weights), strict=True):
                sum_ += part
        learner.sessions.advance(windows, histories, ends)
    for sum_, part in zip(found, expected, strict=True):
        torch.testing.assert_close(sum_, part, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("options", [{}, {"cell": "lstm", "bias": True, **DEEP}])
def test_one_batch_teaches_the_gradient_of_its_loss(
    embedding: str, options: dict[str, Any]
) -> None:
    """Against whole tables as parameters: the touched rows, and only these, have gradients."""
    learner = model(embedding=embedding, **options)
    clicks = stream(60, sessions=3)
    learner.learn_many(*clicks)
    sessions, names = stream(20, seed=1, sessions=3, items=9)
    names = [name for name in names if learner.knows(name)]
    sessions = sessions[: len(names)]
    rows = torch.from_numpy(learner.vocabulary.rows_of(names))
    windows = learner.sessions.align_windows(sessions)
    histories, states = learner.sessions.histories(windows, learner.items.keys_of(rows))
    starts, _ = learner._slide(windows, histories, states)
    steps, inputs, outputs = learner._forward(windows, histories, starts)
    targets = rows[windows.scored]
    random = learner._draws.get_state()
    found = learner.trainer.gradients(steps, inputs, outputs, targets, learner.vocabulary)

    learner._draws.set_state(random)
    items, network = learner.items, learner.network
    whole = {part: part.values.clone().requires_grad_() for part, _, _ in found.items}
    read, scored = whole[items.inputs], whole[items.embedding]
    negatives = learner.popularity.sample(learner.config.n_negatives)
    candidates = torch.cat([targets, negatives])
    expected = learner.popularity.expected(candidates, len(negatives), len(targets))
    bias = whole.get(items.bias, items.bias.values)
    outputs = network(read[steps], windows.sizes, starts)
    loss = sampled_cross_entropy(
        outputs @ scored[candidates].T + bias[candidates],
        candidates,
        expected,
        len(candidates) / learner.n_items,
    )
    weights = [*network.parameters(), *whole.values()]
    gradients = torch.autograd.grad(loss, weights)
    dense = [
        torch.zeros_like(part.values).index_copy_(0, rows, gradient)
        for part, rows, gradient in found.items
    ]
    for one, other in zip([*found.network, *dense], gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
    assert len(whole) == (1 if embedding == "tied" else 2) + bool(options)


def test_gradients_are_clipped_together() -> None:
    """Adagrad's memory is the square of the one gradient so far."""
    found = []
    for most in (0.0, 1e-3, 1e9):
        learner = model(clip=most, bias=True, embedding="separate")
        learner.learn_many(*stream(16))
        items = learner.items
        squares = [memory.flatten() for memory in learner.trainer.memories]
        squares += [
            part.memories[0].flatten() for part in (items.embedding, items.inputs, items.bias)
        ]
        found.append(torch.cat(squares))
    free, clipped, loose = found
    assert free.sum().sqrt() > 0.01
    assert clipped.sum().sqrt().item() == pytest.approx(1e-3, rel=1e-3)
    assert torch.equal(free, loose)
    torch.testing.assert_close(clipped / clipped.sum(), free / free.sum())


def test_a_first_click_is_not_scored_and_a_new_item_has_no_rank() -> None:
    tested = model().test_then_learn(["a", "a", "b", "a"], ["x", "x", "x", "y"])
    assert tested.scored.tolist() == [False, True, False, True]
    assert tested.ranks.tolist() == [0, 1, 0, 0]


def test_an_item_first_seen_earlier_in_the_batch_is_known_and_a_later_one_is_not() -> None:
    learner = model()
    # At its own click z is unknown; at the next one it competes, with w still unborn.
    tested = learner.test_then_learn(["a"] * 5, ["x", "y", "z", "z", "w"], k=10)
    assert tested.ranks[2] == 0
    assert 1 <= tested.ranks[3] <= 3
    assert [sorted(str(item) for item, _ in best) for best in tested.recommended] == [
        [],
        ["x"],
        ["x", "y"],
        ["x", "y", "z"],
        ["x", "y", "z"],
    ]


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize(("dropout", "memory"), [(0.0, 0), (0.5, 0), (0.0, 12), (0.5, 1000)])
@given(st.integers(0, 10_000), st.integers(1, 39), st.sampled_from([1, 7, 16]))
@settings(max_examples=8)
def test_changing_the_future_changes_no_past_figure(
    embedding: str, dropout: float, memory: int, seed: int, cut: int, batch: int
) -> None:
    sessions, items = stream(40, seed)
    others, else_items = stream(40, seed + 1)
    changed = (sessions[:cut] + others[cut:], items[:cut] + else_items[cut:])
    past, other = (
        drive(model(embedding=embedding, dropout=dropout, memory=memory), clicks, batch)[:cut]
        for clicks in ((sessions, items), changed)
    )
    assert past == other


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"memory": 50},
        {"memory": 50, "min_count": 2},
        {"embedding": "separate", "dropout": 0.5, "optimizer": "adam", "momentum": 0.5},
        {"embedding": "one-hot", "cell": "lstm", "bias": True, "input_dropout": 0.3},
    ],
)
def test_scoring_alone_gives_the_same_ranks_and_changes_nothing(
    options: dict[str, Any],
) -> None:
    clicks = stream(200)
    watched, alone = model(**options), model(**options)
    for start in range(0, 200, 16):
        sessions, items = clicks[0][start : start + 16], clicks[1][start : start + 16]
        tested = watched.test(sessions, items, k=3)
        again = watched.test(sessions, items, k=3)
        learned = watched.test_then_learn(sessions, items, k=3)
        plain = alone.test_then_learn(sessions, items)
        assert tested.recommended == again.recommended == learned.recommended
        for other in (again, learned, plain):
            assert tested.ranks.tolist() == other.ranks.tolist()
    for name, array in alone.state().arrays.items():
        np.testing.assert_array_equal(array, watched.state().arrays[name], err_msg=name)


def test_on_random_items_recall_is_k_over_the_catalogue() -> None:
    draw = np.random.default_rng(5)
    clicks = 12_000
    sessions: list[str | int] = [int(s) for s in draw.integers(300, size=clicks)]
    items: list[str | int] = [int(i) for i in draw.integers(200, size=clicks)]
    ranks = np.array(drive(model(), (sessions, items), 64)[2000:])
    ranks = ranks[ranks > 0]
    hits = (ranks <= 20).mean()
    assert abs(hits - 0.1) < 4 * np.sqrt(0.1 * 0.9 / len(ranks))


def test_it_learns_a_path() -> None:
    learner = model(negatives=8)
    for session in range(300):
        learner.learn_many([session] * 4, ["w", "x", "y", "z"])
    for clicked, after in [("w", "x"), ("wx", "y"), ("wxy", "z")]:
        assert learner.recommend(list(clicked), k=1)[0][0] == after


@pytest.mark.parametrize(
    "options",
    [
        *({"embedding": e, "cell": c} for e in EMBEDDINGS for c in ("gru", "lstm", "rnn")),
        *({"optimizer": name} for name in RULES),
        *({"optimizer": name, "momentum": 0.5, "embedding": "separate"} for name in RULES),
        *({"feed_forward": [10, 8], "activation": name} for name in ACTIVATIONS),
        {"reset": "after", "hidden": [12, 8], "embedding": "separate"},
        {"cell": "lstm", "hidden": [12, 8]},
        {"bias": True},
        {"bias": True, "embedding": "one-hot", "feed_forward": [8], "cell": "rnn"},
        {"dropout": 0.2, "input_dropout": 0.1, "hidden": [16, 16]},
        {"clip": 0.1},
        *({"loss": name, "bias": True} for name in LOSSES),
        {"loss": "full-cross-entropy", "smoothing": 0.05},
    ],
    ids=str,
)
def test_it_learns_what_follows_on_two_crossing_paths(options: dict[str, Any]) -> None:
    """What comes after x depends on what came before it."""
    learner = model(negatives=8, **options)
    paths = ["wxy", "vxz"]
    for round_ in range(100):
        learner.learn_many(
            [f"{round_} {path}" for path in paths for _ in path], list("".join(paths))
        )
    for path in paths:
        assert learner.recommend([path[0]], k=1)[0][0] == "x"
        assert learner.recommend(list(path[:2]), k=1)[0][0] == path[2]


@pytest.mark.parametrize(
    ("cell", "reset"), [("gru", "before"), ("gru", "after"), ("lstm", "before")]
)
def test_one_hot_is_a_dense_layer_over_unit_vectors(cell: str, reset: str) -> None:
    """As a separate table held at the identity, with W as fast as the items: the ranks agree."""
    options: dict[str, Any] = {
        "cell": cell,
        "reset": reset,
        "learning_rate": 0.1,
        "item_learning_rate": 0.1,
        "neighbour_init": 0.0,
    }
    one_hot = model(embedding="one-hot", **options)
    dense = model(embedding="separate", **options)
    names: list[str | int] = list(range(12))
    for learner in (one_hot, dense):
        learner.learn_many([f"only {name}" for name in names], names)
    unit = torch.eye(12, dtype=torch.float64)
    saved = {"layers.0.weight_x": one_hot.items.inputs.values[1:13].T}
    dense.network.load_state_dict({**one_hot.network.state_dict(), **saved})
    dense.items.embedding.values[:] = one_hot.items.embedding.values
    dense._draws.set_state(one_hot._draws.get_state())
    clicks = stream(400, items=12)
    ranks: list[list[int]] = [[], []]
    for start in range(0, 400, 16):
        part = clicks[0][start : start + 16], clicks[1][start : start + 16]
        dense.items.inputs.values[1:13] = unit
        for learner, found in zip((one_hot, dense), ranks, strict=True):
            found += drive(learner, part, 16)
    assert ranks[0] == ranks[1]
    torch.testing.assert_close(
        one_hot.items.inputs.values[1:13].T,
        dense.network.cells[0].weight_x,
        rtol=1e-9,
        atol=1e-9,
    )


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("shares", [(0.5, 0.0), (0.0, 0.5)])
def test_dropout_is_for_learning_only(shares: tuple[float, float], cell: str) -> None:
    options: dict[str, Any] = {
        "hidden": [12, 6],
        "input_dropout": shares[0],
        "dropout": shares[1],
        "cell": cell,
    }
    plain, first, second = model(hidden=[12, 6], cell=cell), model(**options), model(**options)
    sessions, items = stream(300)
    ranks = [drive(learner, (sessions[:64], items[:64]), 64) for learner in (plain, first, second)]
    assert ranks[0] == ranks[1] == ranks[2]  # As at first nothing is learned.
    weights = [torch.nn.utils.parameters_to_vector(m.network.parameters()) for m in (plain, first)]
    assert not torch.equal(*weights)
    rest = sessions[64:], items[64:]
    after = [drive(learner, rest, 16) for learner in (plain, first, second)]
    assert after[0] != after[1]
    assert after[1] == after[2]
    for name, array in first.state().arrays.items():
        np.testing.assert_array_equal(array, second.state().arrays[name], err_msg=name)
    other = model(seed=2, **options)
    assert drive(other, (sessions, items), 16) != ranks[1] + after[1]
    assert first.recommend([1, 2]) == first.recommend([1, 2])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"embedding": "separate", "cell": "lstm", "hidden": [12, 5], "bias": True},
        {"embedding": "one-hot", "feed_forward": [7], "dropout": 0.5},
    ],
)
def test_recommendations_agree_with_the_ranks(options: dict[str, Any]) -> None:
    learner = model(**options)
    drive(learner, stream(400), 16)
    items: list[str | int] = [3, 1, 2]
    learner.learn_many(["new", "new"], items[:2])
    tested = learner.test(["new"], items[2:], k=15)
    best = learner.recommend(items[:2], k=15)
    assert [item for item, _ in best] == [item for item, _ in tested.recommended[0]]
    assert best[tested.ranks[0] - 1][0] == 2


def test_items_never_seen_are_passed_over_when_recommending() -> None:
    learner = model()
    drive(learner, stream(100), 16)
    assert learner.recommend(["nobody", 1], k=3) == learner.recommend([1], k=3)
    assert learner.recommend(["nobody"]) == []
    assert not learner.knows("nobody")


def test_ids_come_back_as_they_went_in() -> None:
    learner = model()
    learner.learn_many(["a"] * 4, ["7", 7, "7", 7])
    assert {item for item, _ in learner.recommend(["7"], k=5)} == {"7", 7}


@pytest.mark.parametrize(
    ("options", "at"),
    [
        ({}, 16),
        ({}, 160),
        ({"memory": 1000}, 160),
        ({"memory": 30, "min_count": 2}, 160),
        ({"embedding": "separate", "optimizer": "adam", "momentum": 0.5, "bias": True}, 160),
        ({"embedding": "one-hot", "cell": "lstm", "optimizer": "rmsprop", "dropout": 0.3}, 160),
        (
            {"optimizer": "row-adagrad", "cell": "rnn", "clip": 0.1, "input_dropout": 0.3, **DEEP},
            160,
        ),
        ({"reset": "after", "optimizer": "adam", "bias": True, **DEEP}, 160),
    ],
)
def test_a_restored_model_goes_on_to_the_last_bit(
    options: dict[str, Any], at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "LARGE", 1)  # Memory is made ready for however little.
    sessions, items = stream(400)
    unbroken, broken, restored = model(**options), model(**options), model(seed=99, **options)
    drive(unbroken, (sessions[:at], items[:at]), 16)
    drive(broken, (sessions[:at], items[:at]), 16)
    broken.state()
    state = broken.state()
    drive(broken, (sessions[at:], items[at:]), 16)  # The state is a copy.
    other = broken.state()  # And stays one while there is another.
    restored.restore(state)
    del other
    rest = (sessions[at:], items[at:])
    assert drive(restored, rest, 16) == drive(unbroken, rest, 16)
    for name, array in unbroken.state().arrays.items():
        if not name.startswith("sessions."):
            np.testing.assert_array_equal(array, restored.state().arrays[name], err_msg=name)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize(
    "options",
    [{}, {"embedding": "separate", "bias": True, "dropout": 0.2}, {"memory": 1000}],
    ids=str,
)
def test_a_copy_goes_on_like_the_first_and_by_itself(
    how: Callable[[OnlineGRU4Rec], OnlineGRU4Rec], options: dict[str, Any]
) -> None:
    first = model(**options)
    sessions, items = stream(320)
    drive(first, (sessions[:160], items[:160]), 16)
    copied = how(first)
    rest = (sessions[160:], items[160:])
    ranks = drive(copied, rest, 16)
    # What the copy learned has not touched the first.
    assert drive(first, rest, 16) == ranks
    assert drive(copied, rest, 16) == drive(first, rest, 16)


@pytest.mark.parametrize("memory", [0, 40, 1000])
def test_another_thread_and_smaller_parts_change_no_rank(
    memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aside, "cores", lambda: 2 * torch.get_num_threads())
    clicks = stream(400, items=60)
    alone = drive(model(memory=memory), clicks, 16)
    monkeypatch.setattr("nextclick.models.gru4rec.online.WORTH_A_PRODUCT", 0)
    assert drive(model(memory=memory), clicks, 16) == alone
    monkeypatch.setattr("nextclick.models.gru4rec.online.WORTH_A_THREAD", 0)
    assert drive(model(memory=memory), clicks, 16) == alone
    # Chunks of clicks, each in two parts that share its scores.
    for name, small in {"LEAST_CLICKS": 8, "WORTH_HALVING": 4}.items():
        monkeypatch.setattr(ranking, name, small)
    assert drive(model(memory=memory), clicks, 16) == alone
    monkeypatch.setattr(ranking, "BLOCK_SCORES", 5 * SPECIAL)
    assert drive(model(memory=memory), clicks, 16) == alone


@pytest.mark.parametrize("memory", [0, 40])
def test_learning_alone_finds_no_scores_that_nobody_asks_for(
    memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aside, "cores", lambda: 2 * torch.get_num_threads())
    monkeypatch.setattr("nextclick.models.gru4rec.online.WORTH_A_PRODUCT", 0)
    found: list[ScoreBlocks] = []
    taken: list[ScoreBlocks] = []
    work, take = ScoreBlocks.compute, ScoreBlocks.read

    def noted_work(self: ScoreBlocks) -> None:
        found.append(self)
        work(self)

    def noted_take(self: ScoreBlocks, part: slice) -> torch.Tensor:
        taken.append(self)
        return take(self, part)

    monkeypatch.setattr(ScoreBlocks, "work", noted_work)
    monkeypatch.setattr(ScoreBlocks, "take", noted_take)
    learner = model(memory=memory)
    for session, item in zip(*stream(60), strict=True):
        learner.learn_one(session, item)
    learner._worker.wait()
    # The memory learns how far the network is to be believed, so it asks for the scores.
    assert bool(taken) == bool(memory)
    assert set(found) == set(taken)


@pytest.mark.parametrize("parallel", [0, 1 << 60], ids=["thread", "scores-alone"])
@pytest.mark.parametrize("part", ["_slide", "_forward", "_race", "_report", "trainer.gradients"])
def test_a_batch_that_fails_has_never_been(
    part: str, parallel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aside, "cores", lambda: 2 * torch.get_num_threads())
    monkeypatch.setattr("nextclick.models.gru4rec.online.WORTH_A_THREAD", parallel)
    monkeypatch.setattr("nextclick.models.gru4rec.online.WORTH_A_PRODUCT", 0)
    one, other = model(memory=1000), model(memory=1000)
    for each in (one, other):
        drive(each, stream(100), 16)

    def fail(*arguments: object) -> None:
        raise MemoryError

    owner, _, name = part.rpartition(".")
    with monkeypatch.context() as patch:
        patch.setattr(one.trainer if owner else one, name, fail)
        with pytest.raises(MemoryError):
            one.test_then_learn(["s1", "new", "new"], [1, "new", 1])
    kept, expected = one.state(), other.state()
    assert kept.values == expected.values
    for array_name, array in expected.arrays.items():
        np.testing.assert_array_equal(array, kept.arrays[array_name], err_msg=array_name)
    assert drive(one, stream(64, seed=1), 16) == drive(other, stream(64, seed=1), 16)


def test_an_interrupt_while_the_memory_notes_a_batch_leaves_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = model(memory=1000), model(memory=1000)
    for each in (one, other):
        drive(each, stream(100), 16)

    def stop(_: object) -> object:
        raise KeyboardInterrupt

    def interrupted(tasks: Sequence[Callable[[], object]], parallel: bool) -> Iterator[object]:
        return (stop(task()) for task in tasks)

    with monkeypatch.context() as patch:
        patch.setattr(one._worker, "ahead", interrupted)
        with pytest.raises(KeyboardInterrupt):
            one.test_then_learn(["s1", "new", "new"], [1, "new", 1])
    kept, expected = one.state(), other.state()
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(array, kept.arrays[name], err_msg=name)
    assert drive(one, stream(64, seed=1), 16) == drive(other, stream(64, seed=1), 16)


def bounded(max_items: int, **options: object) -> OnlineGRU4Rec:
    config = GRU4RecConfig(**{"hidden": 12, "window": 4, "n_negatives": 16, "memory": 0, **options})  # type: ignore[arg-type]
    return OnlineGRU4Rec(config, max_items=max_items, seed=1, device="cpu", dtype="float64")


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"memory": 12},
        {"memory": 1000},
        *(
            {"optimizer": name, "momentum": 0.5, "bias": True, "learning_rate": 0.01}
            for name in RULES
        ),
    ],
    ids=str,
)
@given(st.integers(0, 10_000), st.sampled_from([1, 7, 16]), st.integers(1, 12))
@settings(max_examples=3)
def test_an_evicted_item_that_comes_back_is_new(
    embedding: str, options: dict[str, Any], seed: int, batch: int, bound: int
) -> None:
    """Under its own name or another: not a figure tells the difference."""
    clicks = 80
    sessions, items = stream(clicks, seed)
    learner, named = (bounded(bound, embedding=embedding, **options) for _ in range(2))
    lives: dict[str | int, int] = {}
    for start in range(0, clicks, batch):
        part = slice(start, start + batch)
        names: list[str | int] = [f"{item} of life {lives.get(item, 0)}" for item in items[part]]
        before = learner.n_items
        tested = learner.test_then_learn(sessions[part], items[part])
        other = named.test_then_learn(sessions[part], names)
        assert tested.ranks.tolist() == other.ranks.tolist()
        assert learner.n_items <= bound
        assert learner.n_items >= min(before, bound)
        for item in set(items):
            if learner.knows(item) != named.knows(f"{item} of life {lives.get(item, 0)}"):
                raise AssertionError(item)
            if not learner.knows(item) and item in items[: start + batch]:
                lives[item] = start + batch  # Gone: its next name is another.
    for table in (learner.items.embedding, learner.items.inputs):
        assert not table.values[0].any()  # What clicks on items that have left are read as.
    assert learner.items.bias.values[0] == -torch.inf


@given(st.integers(0, 10_000), st.integers(2, 12))
@settings(max_examples=20)
def test_the_least_recently_clicked_items_leave(seed: int, bound: int) -> None:
    sessions, items = stream(60, seed)
    learner = bounded(bound)
    recent: list[str | int] = []
    for session, item in zip(sessions, items, strict=True):
        learner.learn_one(session, item)
        recent = [other for other in recent if other != item] + [item]
        assert {other for other in set(items) if learner.knows(other)} == set(recent[-bound:])


@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_a_restored_model_goes_on_to_the_last_bit_while_items_come_and_go(embedding: str) -> None:
    sessions, items = stream(300, items=40)
    unbroken, restored = (
        bounded(10, embedding=embedding, optimizer="adam", momentum=0.5, bias=True)
        for _ in range(2)
    )
    drive(unbroken, (sessions[:160], items[:160]), 16)
    restored.restore(unbroken.state())
    rest = (sessions[160:], items[160:])
    tested = restored.test(sessions[160:176], items[160:176])
    ranks = drive(restored, rest, 16)
    assert ranks == drive(unbroken, rest, 16)
    assert np.where(tested.scored, tested.ranks, -1).tolist() == ranks[:16]
    assert restored.state().values == unbroken.state().values


def test_an_item_enters_the_catalogue_once_it_was_seen_often_enough() -> None:
    learner = model(sightings=3)
    learner.learn_many(["a"] * 4, ["x", "y", "x", "y"])
    assert learner.n_items == 0
    tested = learner.test_then_learn(["a"] * 4, ["x", "x", "y", "x"], k=5)
    assert tested.scored.tolist() == [True] * 4
    assert tested.ranks.tolist() == [0, 1, 0, 1] or tested.ranks.tolist() == [0, 1, 0, 2]
    assert [len(best) for best in tested.recommended] == [0, 1, 1, 2]
    assert (learner.knows("x"), learner.knows("y"), learner.knows("z")) == (True, True, False)


def test_sightings_count_the_same_however_the_stream_is_cut() -> None:
    sessions, items = stream(80)
    entered = []
    for batch in (1, 7, 80):
        learner = model(sightings=4)
        drive(learner, (sessions, items), batch)
        entered.append({item for item in items if learner.knows(item)})
    assert entered[0] == entered[1] == entered[2] == {i for i in items if items.count(i) >= 4}


def test_an_item_that_nobody_clicks_leaves_after_its_time() -> None:
    learner = model(idle=100.0)
    learner.learn_many(["a"] * 3, ["x", "y", "z"], time=1000.0)
    learner.learn_many(["a"] * 2, ["x", "z"], time=1090.0)
    learner.learn_many(["a"], ["z"], time=1150.0)
    assert [learner.knows(item) for item in "xyz"] == [True, False, True]
    restored = model(idle=100.0)
    restored.restore(learner.state())
    restored.learn_many(["a"], ["z"], time=1200.0)
    assert [restored.knows(item) for item in "xyz"] == [False, False, True]


def test_a_forgotten_session_starts_anew() -> None:
    learner = model()
    learner.learn_many(["a", "b"], ["x", "y"])
    learner.forget(["a", "never seen"])
    assert learner.test(["a", "b"], ["x", "x"]).scored.tolist() == [False, True]


def test_a_score_that_is_not_a_number_is_an_error() -> None:
    learner = model()
    drive(learner, stream(100), 16)
    learner.items.embedding.values[2] = torch.nan
    with pytest.raises(FloatingPointError, match="diverged"):
        drive(learner, stream(100), 16)


@pytest.mark.parametrize("memory", [0, 5000])
def test_memory_is_ready_before_a_large_snapshot_is_taken(memory: int) -> None:
    many = list(range(3000))
    for begin in (OnlineGRU4Rec.state, lambda learner: learner.restore(learner.state())):
        learner = OnlineGRU4Rec(GRU4RecConfig(memory=memory), device="cpu")
        learner.learn_many(many, many)
        assert not learner.copies.wanted
        begin(learner)
        for more in (many, [item + 3000 for item in many]):
            learner.learn_many(more, more)
            learner.copies.begin()  # It waits until all is ready.
            ready = learner.copies._ready
            # The catalogue is copied elsewhere.
            assert ready > 0.98 * sum(array.nbytes for array in learner.state().arrays.values())


@pytest.mark.parametrize("memory", [0, 5000])
def test_memory_is_ready_for_a_state_that_grows_by_little(memory: int) -> None:
    learner = OnlineGRU4Rec(GRU4RecConfig(memory=memory), device="cpu")
    learner.state()
    for step in range(40):
        new = [f"{step}, {number}" for number in range(60 if step else 2000)]
        learner.learn_many(new, new)
        learner.copies.begin()  # It waits until all is ready.
        ready, piece = learner.copies._ready, learner.copies._piece[0].ctypes.data
        learner.state()
        if step:
            assert learner.copies._used <= ready
            assert learner.copies._piece[0].ctypes.data == piece


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("optimizer", RULES)
def test_an_unseen_row_is_never_touched(optimizer: str, embedding: str) -> None:
    learner = model(
        negatives=0, optimizer=optimizer, momentum=0.5, embedding=embedding, bias=True, clip=1.0
    )
    learner.learn_many(["a", "a"], ["x", "y"])
    before = learner.items.state(3, SnapshotBuffer())
    learner.learn_many(["b", "b", "b"], ["u", "v", "u"])
    for name, array in learner.items.state(3, SnapshotBuffer()).items():
        assert torch.equal(array, before[name]), name
    for part in (learner.items.embedding, learner.items.inputs):
        assert not part.values[0].any()
    assert learner.items.bias.values[0] == -torch.inf
    assert learner.items.bias.values[3:5].all()


@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_a_new_item_takes_after_the_one_clicked_before_it(embedding: str) -> None:
    """With one candidate there is nothing to learn: the rows are as they were begun."""
    plain, kin = (model(negatives=0, embedding=embedding, kinship=part) for part in (0.0, 0.15))
    for learner in (plain, kin):
        learner.learn_many(["a"], ["x"])
        learner.learn_many(["a"], ["y"])
    for drawn, found in (
        (plain.items.embedding.values, kin.items.embedding.values),
        (plain.items.inputs.values, kin.items.inputs.values),
    ):
        assert torch.equal(found[1], drawn[1])
        torch.testing.assert_close(found[2], drawn[2] + 0.15 * drawn[1])


def test_without_the_option_no_bias_is_learned() -> None:
    learner = model()
    drive(learner, stream(100), 16)
    assert not learner.items.bias.values[1 : learner.vocabulary.used].any()


def test_learning_click_by_click_is_learning_in_batches_of_one() -> None:
    one, many = model(), model()
    sessions, items = stream(50)
    for session, item in zip(sessions, items, strict=True):
        one.learn_one(session, item)
    drive(many, (sessions, items), 1)
    assert one.recommend([1, 2]) == many.recommend([1, 2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OnlineGRU4Rec(device="tpu"), "auto, cpu or cuda"),
        (lambda: GRU4RecConfig(learning_rate=0.0), "learning_rate must be more than 0"),
        (lambda: GRU4RecConfig(window=0), "window must be at least 1"),
        (lambda: GRU4RecConfig(n_negatives=-1), "n_negatives must not be negative"),
    ],
)
def test_options_out_of_range_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_batch_of_more_sessions_than_the_bound_is_refused() -> None:
    learner = OnlineGRU4Rec(GRU4RecConfig(hidden=4), max_sessions=2, device="cpu")
    with pytest.raises(ValueError, match="bound of 2 live sessions"):
        learner.learn_many(["a", "b", "c"], ["x", "x", "x"])


def test_the_empty_batch_is_no_trouble() -> None:
    tested = model().test_then_learn([], [], k=5)
    assert len(tested.ranks) == len(tested.scored) == len(tested.recommended) == 0


def test_it_tells_how_long_it_learned() -> None:
    learner = OnlineGRU4Rec(GRU4RecConfig(hidden=8), device="cpu")
    sessions: list[str | int] = ["a", "a", "b", "b"]
    tested = learner.test_then_learn(sessions, ["x", "y", "x", "y"])
    assert tested.learning > 0
    assert learner.test(sessions, ["x", "y", "x", "y"]).learning == 0


@pytest.mark.parametrize("k", [0, -1])
def test_a_recommendation_is_of_one_item_at_least(k: int) -> None:
    learner = OnlineGRU4Rec(GRU4RecConfig(hidden=8), device="cpu")
    learner.learn_many(["a", "a"], ["x", "y"])
    with pytest.raises(ValueError, match="k must be at least 1"):
        learner.recommend(["x"], k=k)
