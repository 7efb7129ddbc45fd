"""The command ``nextclick recommend``."""

from __future__ import annotations

import csv
from typing import Annotated

from ..config.declaration import option
from ..config.options import ConfigError, Options
from ..config.run import MOST_RECOMMENDED
from . import log
from .flags import command
from .terminal import notify, show


class RecommendConfig(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of recommendations for one session."""

    snapshots: Annotated[str, option("Folder with the snapshots.", value="FOLDER")]
    session: Annotated[str, option('Session so far, oldest click first: "item,item".')]
    k: Annotated[int, option("Items to recommend.", ge=1, le=MOST_RECOMMENDED, names=("-k",))] = 20


@command(RecommendConfig)
def recommend(config: RecommendConfig) -> None:
    """Recommend the next items of a session, from the newest snapshot."""
    with log.loading():
        from ..learned import load_model

    model = load_model(config.snapshots, notify)
    try:
        items = [item.strip() for item in next(csv.reader([config.session], strict=True), [])]
    except csv.Error as error:
        raise ConfigError(f"--session must list items, separated by commas: {error}") from error
    known: list[str | int] = []
    for item in items:
        found = next((form for form in _readings(item) if model.knows(form)), None)
        if found is None:
            notify(f"{item!r} is not in the catalogue of {model.n_items:,} items")
        else:
            known.append(found)
    if not known:
        raise ConfigError("--session names no item of the catalogue, so nothing can be recommended")
    for place, (best, score) in enumerate(model.recommend(known, config.k), start=1):
        show(f"{place:4}  {best}  {score:.4f}")


def _readings(item: str) -> list[str | int]:
    """Return what an id typed on the command line can mean: a text, or a whole number."""
    try:
        return [item, int(item)]
    except ValueError:
        return [item]
