from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.models.workers.pool import Pool


# Not for the whole session: a run in a process that has a group of processes shares that one.
@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """Yield processes that serve this one."""
    pool = Pool()
    yield pool
    pool.close()
