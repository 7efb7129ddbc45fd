from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.models.workers.pool import Pool


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """Yield processes that serve this one."""
    pool = Pool()
    yield pool
    pool.close()
