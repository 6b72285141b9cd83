"""A training run: its schedule, and going on from a saved state."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training.checkpoint import CheckpointFiles
from training.network import Sizes
from training.recognizer import Recognizer
from training.task import Settings
from training.train import Run, rate_factor, start

SMALL = Sizes(
    encoder_width=32,
    encoder_layers=1,
    encoder_heads=2,
    encoder_feed_forward=32,
    decoder_width=32,
    decoder_layers=2,
    decoder_feed_forward=32,
)


@pytest.fixture(scope="module", autouse=True)
def files(cache: Path) -> None:
    CheckpointFiles(cache / "files").write(1, SMALL)


def run(cache: Path, *, resume: bool = False) -> Run:
    settings = Settings(cache, cache / "out", minutes=60, resume=resume, processes=1, sizes=SMALL)
    return start(Recognizer, 0, settings)


def step(run: Run, scale: float) -> None:
    for parameter in [*run.model.parameters(), *run.heads.parameters()]:
        parameter.grad = torch.ones_like(parameter)
    run._descend(scale)


def rates(run: Run) -> list[list[float]]:
    return [[group["lr"] for group in o.param_groups] for o in run.optimizers]


def test_a_resumed_run_follows_the_schedule_and_not_the_last_rate_of_the_saved_one(
    cache: Path,
) -> None:
    first = run(cache)
    step(first, 1.0)
    full = rates(first)
    step(first, 0.01)
    first.clock = 120.0
    first.save()
    again = run(cache, resume=True)
    assert (again.step, again.clock) == (2, 120.0)
    step(again, 1.0)
    assert rates(again) == full


def test_a_resumed_run_has_the_weights_of_the_saved_one(cache: Path) -> None:
    first = run(cache)
    step(first, 1.0)
    first._follow()
    first.save()
    again = run(cache, resume=True)
    for name in ("model", "average", "heads"):
        saved, restored = getattr(first, name).state_dict(), getattr(again, name).state_dict()
        assert all(torch.equal(saved[key], restored[key]) for key in saved)


def test_the_rate_rises_then_falls_to_a_hundredth() -> None:
    factors = [rate_factor(progress / 100, 0.02) for progress in range(101)]
    assert max(factors) == factors[2] == 1.0
    assert factors[2:] == sorted(factors[2:], reverse=True)
    assert factors[100] == pytest.approx(0.01)
