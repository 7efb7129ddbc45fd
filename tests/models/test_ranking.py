from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models import ranking
from nextclick.models.compute import score_blocks, torch_scan
from nextclick.models.ranking import (
    MOST_CLICKS,
    WORTH_HALVING,
    CatalogueRanker,
    NewItems,
    rank,
)

NONE = NewItems(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))


@dataclass
class Case:
    """Clicks and a catalogue of small whole numbers: scores are exact and often tie."""

    outputs: torch.Tensor
    embedding: torch.Tensor
    bias: torch.Tensor
    targets: torch.Tensor
    clicks: torch.Tensor
    new_items: NewItems

    def rank(self, k: int = 0) -> ranking.Ranking:
        return rank(
            self.outputs, self.embedding, self.bias, self.targets, self.clicks, self.new_items, k
        )

    def known(self, place: int) -> dict[int, int]:
        """Score every row that competes for a click, one at a time."""
        n_generations = dict(
            zip(self.new_items.rows.tolist(), self.new_items.clicks.tolist(), strict=True)
        )
        scores = {}
        for row in range(1, len(self.bias)):
            if row not in n_generations or n_generations[row] < self.clicks[place]:
                products = self.outputs[place].double() * self.embedding[row].double()
                scores[row] = int(products.sum() + self.bias[row])
        return scores


@st.composite
def cases(draw: st.DrawFn) -> Case:
    clicks, items = draw(st.integers(0, 12)), draw(st.integers(1, 12))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))

    def whole(*shape: int) -> torch.Tensor:
        return torch.randint(-2, 3, shape, generator=generator).to(dtype)

    embedding, bias = whole(items + 1, 3), whole(items + 1)
    embedding[0], bias[0] = 0, -torch.inf
    # Not every click of a batch is scored, and the scored ones come in any order.
    places = draw(st.permutations(range(2 * clicks)))[:clicks]
    rows = draw(st.lists(st.integers(1, items), unique=True))
    new_items = draw(st.lists(st.integers(0, 24), min_size=len(rows), max_size=len(rows)))
    return Case(
        whole(clicks, 3),
        embedding,
        bias,
        torch.randint(1, items + 1, (clicks,), generator=generator),
        torch.tensor(places, dtype=torch.int64),
        NewItems(
            torch.tensor(rows, dtype=torch.int64),
            torch.tensor(new_items, dtype=torch.int64),
        ),
    )


@given(cases())
def test_a_rank_counts_the_known_items_that_score_as_high(case: Case) -> None:
    expected = []
    for place, target in enumerate(case.targets.tolist()):
        scores = case.known(place)
        others = [score for row, score in scores.items() if row != target]
        worse = sum(score >= scores[target] for score in others) if target in scores else -1
        expected.append(worse + 1)
    assert case.rank().ranks.tolist() == expected


@given(cases(), st.integers(0, 15))
def test_the_best_are_the_highest_scores_of_the_known_items(case: Case, k: int) -> None:
    found = case.rank(k)
    assert found.best.shape == found.scores.shape == (len(case.targets), min(k, len(case.bias)))
    for place, (rows, scores) in enumerate(
        zip(found.best.tolist(), found.scores.tolist(), strict=True)
    ):
        known = case.known(place)
        best = [(row, s) for row, s in zip(rows, scores, strict=True) if s > -torch.inf]
        assert [score for _, score in best] == sorted(known.values(), reverse=True)[:k]
        assert len({row for row, _ in best}) == len(best)
        assert all(known[row] == score for row, score in best)
        # What is no item comes last.
        assert scores[len(best) :] == [-torch.inf] * (len(scores) - len(best))


@given(cases(), st.integers(0, 5), st.integers(1, 7), st.integers(1, 12), st.integers(2, 30))
def test_blocks_chunks_and_room_change_nothing(
    case: Case, k: int, rows: int, clicks: int, room: int
) -> None:
    whole = case.rank(k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score_blocks, "BLOCK_ROWS", rows)
        patch.setattr(score_blocks, "MANY_ROWS", rows)
        patch.setattr(torch_scan, "BLOCK_SCORES", rows * max(1, len(case.targets)))
        patch.setattr(ranking, "MOST_CLICKS", clicks)
        patch.setattr(ranking, "ROOM", room)
        parts = case.rank(k)
    assert torch.equal(whole.ranks, parts.ranks)
    assert torch.equal(whole.scores, parts.scores)
    listed = whole.scores > -torch.inf
    assert torch.equal(whole.best[listed], parts.best[listed])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [0, 7])
def test_no_more_scores_are_held_at_a_time_than_a_block(
    dtype: torch.dtype, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []
    original = torch.addmm

    def watched(*of: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        held.append(out.numel())
        return original(*of, out=out)

    generator = torch.Generator().manual_seed(0)
    monkeypatch.setattr(score_blocks, "BLOCK_ROWS", 20)
    monkeypatch.setattr(score_blocks, "BLOCK_SCORES", 1000)
    monkeypatch.setattr(torch_scan, "BLOCK_SCORES", 1000)
    monkeypatch.setattr(torch, "addmm", watched)
    ranks = rank(
        torch.randn(50, 4, generator=generator, dtype=dtype),
        torch.randn(300, 4, generator=generator, dtype=dtype),
        torch.zeros(300, dtype=dtype),
        torch.arange(50),
        torch.arange(50),
        NONE,
        k,
    ).ranks
    assert len(ranks) == 50
    assert sum(held) == 50 * 300
    assert max(held) <= 1000


@pytest.mark.parametrize("clicks", [1, 31, 32, 97, 512, 513, 5000])
def test_two_threads_share_halves_of_few_chunks_of_clicks(clicks: int) -> None:
    places = torch.zeros(clicks, dtype=torch.int64)
    of = torch.zeros(clicks, 1), torch.zeros(3, 1), torch.zeros(3), places, places, NONE
    chunks = -(-clicks // MOST_CLICKS)
    assert len(CatalogueRanker(*of).parts) == chunks
    race = CatalogueRanker(*of, shared=True)
    assert [click for part in race.parts for click in range(clicks)[part]] == [*range(clicks)]
    lengths = [len(range(clicks)[part]) for part in race.parts]
    assert max(lengths) <= MOST_CLICKS
    assert len(lengths) == (1 if clicks < WORTH_HALVING else 2 * chunks)


def test_without_lists_a_ranking_keeps_no_scores() -> None:
    clicks = torch.arange(4)
    race = CatalogueRanker(
        torch.zeros(4, 1), torch.zeros(900, 1), torch.zeros(900), clicks, clicks, NONE
    )
    ranking = race.rank(slice(0, 4))
    assert ranking.scores.untyped_storage().nbytes() == 0
    assert ranking.best.untyped_storage().nbytes() == 0


def test_all_equal_items_all_rank_last() -> None:
    bias = torch.tensor([-torch.inf, 0, 0, 0, 0])
    found = rank(
        torch.ones(3, 2),
        torch.ones(5, 2),
        bias,
        torch.tensor([1, 2, 4]),
        torch.tensor([0, 1, 2]),
        NONE,
    )
    assert found.ranks.tolist() == [4, 4, 4]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_rows_tie_whatever_their_place(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    for rows in (7, 17, 101, 1537):
        embedding = torch.randn(1, 100, generator=generator, dtype=dtype).repeat(rows + 1, 1)
        outputs = torch.randn(rows, 100, generator=generator, dtype=dtype)
        every = torch.arange(1, rows + 1)
        bias = torch.full((rows + 1,), 0.37, dtype=dtype)
        bias[0] = -torch.inf
        assert rank(outputs, embedding, bias, every, every, NONE).ranks.tolist() == [rows] * rows


def test_an_item_competes_only_after_the_click_that_brings_it() -> None:
    bias = torch.tensor([-torch.inf, 0, 5])
    new_items = NewItems(torch.tensor([2]), torch.tensor([3]))
    clicks = torch.tensor([2, 3, 4])
    found = rank(
        torch.zeros(3, 1), torch.zeros(3, 1), bias, torch.tensor([1, 1, 1]), clicks, new_items, k=2
    )
    assert found.ranks.tolist() == [1, 1, 2]
    assert [row[0] for row in found.best.tolist()] == [1, 1, 2]
    itself = rank(
        torch.zeros(3, 1), torch.zeros(3, 1), bias, torch.tensor([2, 2, 2]), clicks, new_items
    )
    assert itself.ranks.tolist() == [0, 0, 1]


def test_where_a_score_is_not_a_number_there_is_no_rank() -> None:
    outputs = torch.tensor([[1.0], [torch.nan], [1.0]])
    embedding = torch.tensor([[0.0], [1.0], [torch.nan]])
    bias = torch.tensor([-torch.inf, 0, 0])
    targets, clicks = torch.tensor([2, 1, 1]), torch.tensor([0, 1, 2])
    assert rank(outputs, embedding, bias, targets, clicks, NONE).ranks.tolist() == [-1, -1, -1]


def test_a_known_target_that_scores_minus_infinity_is_last_and_not_unseen() -> None:
    embedding = torch.tensor([[0.0], [1.0], [-3e38], [2.0]])
    bias = torch.tensor([-torch.inf, 0, 0, 0])
    target, click = torch.tensor([2]), torch.tensor([7])
    found = rank(torch.full((1, 1), 10.0), embedding, bias, target, click, NONE)
    assert found.ranks[0] >= 3


def test_an_item_that_is_not_born_yet_may_have_any_score() -> None:
    embedding = torch.tensor([[0.0], [1.0], [torch.nan], [-1.0]])
    bias = torch.tensor([-torch.inf, 0, 0, 0])
    target, click = torch.tensor([1]), torch.tensor([7])
    assert rank(torch.ones(1, 1), embedding, bias, target, click, NONE).ranks.tolist() == [-1]
    new_items = NewItems(torch.tensor([2]), torch.tensor([7]))
    assert rank(torch.ones(1, 1), embedding, bias, target, click, new_items).ranks.tolist() == [1]


def test_what_was_given_is_left_as_it_was() -> None:
    generator = torch.Generator().manual_seed(0)
    given_ = [torch.randn(4, 3, generator=generator), torch.randn(6, 3, generator=generator)]
    bias = torch.randn(6, generator=generator)
    before = [tensor.clone() for tensor in (*given_, bias)]
    new_items = NewItems(torch.tensor([2, 3]), torch.tensor([1, 9]))
    rank(given_[0], given_[1], bias, torch.tensor([1, 2, 3, 4]), torch.arange(4), new_items, k=3)
    for tensor, old in zip((*given_, bias), before, strict=True):
        assert torch.equal(tensor, old)
