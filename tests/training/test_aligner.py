"""The forced aligner in training: its head, its losses, and what is exported."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training.aligner import CLASSES, RECOGNIZER, Aligner, spread, time_waves
from training.evaluate_aligner import Case, Kind, cases, load, score
from training.synthesis import SAMPLE_RATE
from training.task import Settings
from training.train import Run, export_state, start


@pytest.fixture(scope="module")
def run(cache: Path) -> Run:
    settings = Settings(cache, cache / "out", minutes=60, processes=1)
    Aligner.prepare(settings)
    return start(Aligner, 0, settings)


def test_every_time_has_its_own_waves() -> None:
    waves = time_waves()
    assert waves.shape == (CLASSES, 140)
    alike = waves @ waves.T
    assert torch.allclose(alike.diagonal(), torch.ones(CLASSES), atol=1e-5)
    assert torch.equal(alike.argmax(1), torch.arange(CLASSES))
    assert alike.fill_diagonal_(0).max() < 0.95


def test_a_time_is_spread_around_its_nearest_class() -> None:
    times = torch.tensor([0.0, 0.1, 0.13, 29.99, 170.0])
    weights = spread(times)
    assert torch.allclose(weights.sum(1), torch.ones(5))
    assert weights.argmax(1).tolist() == [0, 1, 2, 375, 2125]
    assert weights[1, 1] > weights[1, 2] > weights[1, 0]


def test_training_begins_as_the_recognizer_keeps_its_ears_and_lowers_the_loss(run: Run) -> None:
    from safetensors.torch import load_file

    known = load_file(RECOGNIZER / "model.safetensors")
    weights = run.model.state_dict()
    assert all(torch.equal(weights[name], known[name].float()) for name in known)
    batch = next(run.task.batches(0, 0))
    found = []
    for _ in range(6):
        losses = run.task.losses(batch)
        losses.total(0.5).backward()  # type: ignore[no-untyped-call]
        run._descend(0.5)
        found.append(losses.values)
    assert (found[-1][:3] < found[0][:3]).all()
    unchanged = [name for name in known if torch.equal(weights[name], known[name].float())]
    assert unchanged == [name for name in known if "conv2d" in name]


def test_what_is_exported_is_what_was_trained(run: Run, tmp_path: Path) -> None:
    run.average.load_state_dict(run.model.state_dict())
    run.save()
    export_state(Aligner, run.settings.cache, tmp_path)
    model, prompter = load(tmp_path)
    assert model.config.timestamp_token_id == prompter.timestamp
    exported, trained = model.thinker.lm_head.weight, run.model.thinker.lm_head.weight
    assert exported.shape == (CLASSES, 256)
    assert torch.allclose(exported, trained, atol=1e-3)
    assert exported.data_ptr() != model.thinker.model.embed_tokens.weight.data_ptr()


def test_the_clips_of_the_measurement_have_their_words_in_order() -> None:
    kind = Kind("", "English", "espeak", 3, seconds=8, silence=2.0)
    for case in cases(kind, 3):
        assert 4 < len(case.samples) / SAMPLE_RATE < 9
        times = [time for span in case.times if span for time in span]
        assert times == sorted(times)
        assert times[-1] <= len(case.samples) / SAMPLE_RATE
        assert len(times) == 2 * len(case.words)
        assert len(case.text.split()) == len(case.words)


def test_edited_transcripts_differ_from_what_is_said() -> None:
    counts = {}
    for edit in ("", "missing", "extra", "wrong"):
        kind = Kind("same", "English", "espeak", 8, seconds=10, edit=edit)
        (counts[edit],) = [sum(len(case.words) for case in cases(kind, 8))]
    assert counts["missing"] < counts["wrong"] < counts["extra"]


def test_words_that_nobody_says_do_not_count() -> None:
    case = Case(torch.zeros(1).numpy(), "English", ("a", "b"), ((1.0, 1.5), None))
    found = score("", [case], [[(1.1, 1.3), (7.0, 9.0)]])
    assert found.errors == pytest.approx((0.1, 0.2))
    assert found.mean == pytest.approx(0.15)
    assert found.within(0.15) == 0.5
