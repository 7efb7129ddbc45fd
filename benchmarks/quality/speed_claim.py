"""Whether GRU4Rec is slower and less parallel than SASRec: clicks a second, timed in turn."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.quality.side_by_side import Stream, network_alone, read
from benchmarks.quality.tables import header, ratio, row
from benchmarks.quality.verdicts import Verdict, all_of, mean_of_rounds, over_zero
from nextclick.models import Recommender
from nextclick.models.rivals.neural.sasrec import SASRec

ROUNDS = 12
"""Times that every setting is timed, in turn with all others."""

BATCHES = (1, 32, 128, 512)
WINDOWS = (5, 20, 50)


def clocked(
    models: dict[str, Recommender], stream: Stream, start: int, count: int, batch: int
) -> dict[str, tuple[float, float]]:
    """Take every model along some clicks; return its CPU and clock seconds a click."""
    found = {}
    for name, model in models.items():
        cpu, wall = time.process_time(), time.perf_counter()
        for at in range(start, start + count, batch):
            part = slice(at, min(at + batch, start + count))
            model.test_then_learn(stream.sessions[part], stream.items[part])
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        found[name] = cpu / count, wall / count
    return found


def attention(data: Path, clicks: int) -> dict[str, Verdict]:
    """GRU4Rec is slower and less parallel than SASRec: by batch size and threads."""
    learned = clicks // 15
    stream = read(str(data / "yoochoose.csv.gz"), learned + 512 * 8 * ROUNDS)
    models = {"gru": network_alone(), "sasrec": SASRec()}
    clocked(models, stream, 0, learned, 128)
    settings = [(threads, batch) for threads in (1, 2) for batch in BATCHES]
    taken: dict[tuple[int, int], list[list[tuple[float, float]]]] = {s: [] for s in settings}
    at = learned
    for _ in range(ROUNDS):
        for threads, batch in settings:
            torch.set_num_threads(threads)
            count = min(512, 128 * batch)
            found = clocked(models, stream, at, count, batch)
            taken[threads, batch].append([found["gru"], found["sasrec"]])
            at += count
    torch.set_num_threads(1)
    # Axes: rounds, models, CPU or clock.
    logs = {setting: np.log(np.array(rounds)) for setting, rounds in taken.items()}
    header(
        *("threads", "batch", "GRU4Rec, clicks/CPU s", "SASRec", "GRU4Rec, clicks/s", "SASRec"),
        *("CPU time, GRU4Rec / SASRec", "clock, GRU4Rec / SASRec", "slower"),
    )
    slower = []
    for (threads, batch), log in logs.items():
        rates = [f"{r:,.0f}" for r in np.exp(-np.median(log, axis=0)).T.ravel()]
        apart = [mean_of_rounds((log[:, 0, kind] - log[:, 1, kind]).tolist()) for kind in (0, 1)]
        slower.append(over_zero(apart[0]))
        print(row(str(threads), str(batch), *rates, *map(ratio, apart), slower[-1].value))
    header("clicks/s gained by", "GRU4Rec, times", "SASRec, times", "SASRec / GRU4Rec", "more")
    gains = [
        ("batches of 512 instead of 1, CPU", logs[1, 1][:, :, 0] - logs[1, 512][:, :, 0]),
        ("batches of 512 instead of 32, CPU", logs[1, 32][:, :, 0] - logs[1, 512][:, :, 0]),
        ("a second thread, batches of 512, clock", logs[1, 512][:, :, 1] - logs[2, 512][:, :, 1]),
    ]
    parallel = []
    for name, gained in gains:
        own = [ratio(mean_of_rounds(gained[:, model].tolist())) for model in (0, 1)]
        more = mean_of_rounds((gained[:, 1] - gained[:, 0]).tolist())
        parallel.append(over_zero(more))
        print(row(name, *own, ratio(more), parallel[-1].value), flush=True)
    return {"GRU4Rec is slower than SASRec": all_of(slower), "less parallel": all_of(parallel)}


def windows(data: Path, clicks: int) -> dict[str, Verdict]:
    """GRU4Rec is slower than SASRec: over the same windows, of long sessions."""
    learned = clicks // 75
    stream = read(str(data / "trivago.csv.gz"), learned + 512 * ROUNDS)
    pairs = {w: {"gru": network_alone(w), "sasrec": SASRec(window=w)} for w in WINDOWS}
    for models in pairs.values():
        clocked(models, stream, 0, learned, 128)
    rounds: list[list[list[float]]] = []
    for turn in range(ROUNDS):
        at = learned + 512 * turn
        found = [clocked(models, stream, at, 512, 128) for models in pairs.values()]
        rounds.append([[one["gru"][0], one["sasrec"][0]] for one in found])
    log = np.log(np.array(rounds))  # Axes: rounds, windows, models.
    header("window", "GRU4Rec, clicks/CPU s", "SASRec", "CPU time, GRU4Rec / SASRec", "slower")
    slower = []
    for place, window in enumerate(WINDOWS):
        rates = [f"{r:,.0f}" for r in np.exp(-np.median(log[:, place], axis=0))]
        apart = mean_of_rounds((log[:, place, 0] - log[:, place, 1]).tolist())
        slower.append(over_zero(apart))
        print(row(str(window), *rates, ratio(apart), slower[-1].value), flush=True)
    return {"over the same windows GRU4Rec is slower than SASRec": all_of(slower)}
