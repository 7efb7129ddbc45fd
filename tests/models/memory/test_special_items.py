from __future__ import annotations

import numpy as np
import pytest
import torch

from nextclick.models.memory.special_items import share_scores


@pytest.mark.parametrize("scale", [0.01, 1.0, 60.0])
def test_the_networks_probabilities_are_the_softmax_of_the_scores(scale: float) -> None:
    draw = np.random.default_rng(1)
    scores = draw.standard_normal((6, 50)) * scale
    scores[:, 0] = scores[4, 5:] = scores[5] = -np.inf
    spans, rows = np.array([[0, 5]] * 6) + 5 * np.arange(6)[:, None], np.arange(5)
    others = scores[:, 5:]
    highest = others.max(axis=1)
    total = np.exp(others - np.where(np.isfinite(highest), highest, 0)[:, None]).sum(axis=1)
    broken = np.array([False, True, False, False, False, False])
    probs, top, norm = share_scores(spans, scores[:, rows].reshape(-1), highest, total, broken)
    expected = torch.from_numpy(scores).softmax(1).numpy()
    for click in (0, 2, 3, 4):
        np.testing.assert_allclose(probs[5 * click : 5 * click + 5], expected[click, rows])
        assert top[click] == pytest.approx(expected[click].max())
        assert norm[click] == pytest.approx(float(torch.from_numpy(scores[click]).logsumexp(0)))
    assert np.isnan(top[1])
    assert (top[5], norm[5]) == (1, -np.inf)
