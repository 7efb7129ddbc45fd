from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser import chromium
from tests.stream.serving.asking import Served, served
from tests.stream.serving.page.watching import ODD, WICKED

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def shop() -> Iterator[Served]:
    with served() as made:
        yield made


@pytest.fixture(scope="module")
def odd_shop() -> Iterator[Served]:
    """An engine whose stream has the ids that nobody expects."""
    with served([(WICKED, ODD[at % len(ODD)]) for at in range(192)]) as made:
        yield made


@pytest.fixture(scope="module")
def new_shop() -> Iterator[Served]:
    """An engine that has read nothing."""
    with served([]) as made:
        yield made
