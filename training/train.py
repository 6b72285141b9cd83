"""Training on the CPU: processes of one thread each, in step.

The length is given in minutes of wall clock, and the learning rate follows the clock, so that it
has come down when time is up, on any machine.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import Tensor, nn

from training import corpus as corpora
from training.task import Settings, Task

AVERAGE_DECAY = 0.998
WARMUP = 0.02
"""Share of the time in which the learning rate rises."""
STATE_EVERY = 240.0
MEASURE_EVERY = 200.0
LOG_EVERY = 20.0
_ALLOCATOR = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "MALLOC_TOP_PAD_": "268435456",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "OMP_NUM_THREADS": "1",
}
"""Keeps freed memory in the process: asking for it anew costs a tenth of the time."""


class Lockstep:
    """Averages gradients between the processes and keeps one clock for all."""

    def __init__(self, parameters: list[nn.Parameter], rank: int, processes: int) -> None:
        self._parameters, self._rank, self._processes = parameters, rank, processes
        self._buffer = torch.zeros(sum(p.numel() for p in parameters) + 1)

    def average(self, seconds: float) -> float:
        """Average all gradients in place and return the clock of process 0."""
        views = torch.split(self._buffer[:-1], [p.numel() for p in self._parameters])
        for parameter, view in zip(self._parameters, views, strict=True):
            if parameter.grad is None:
                view.zero_()
            else:
                view.copy_(parameter.grad.flatten())
        self._buffer[-1] = seconds * self._processes if self._rank == 0 else 0.0
        if self._processes > 1:
            dist.all_reduce(self._buffer)
            self._buffer /= self._processes
        for parameter, view in zip(self._parameters, views, strict=True):
            parameter.grad = view.view_as(parameter)
        return float(self._buffer[-1])


@dataclass
class Meter:
    """Sums for a line of the log."""

    began: float
    named: tuple[str, ...]
    sums: Tensor | float = 0.0
    steps: int = 0
    heard: float = 0.0

    def add(self, values: Tensor, seconds: float) -> None:
        """Count a step: its losses and the seconds of audio in it."""
        self.sums += values
        self.steps += 1
        self.heard += seconds

    def line(self, clock: float) -> str:
        """Mean losses and speed since `began`."""
        means = torch.as_tensor(self.sums / self.steps).tolist()
        found = " ".join(f"{name} {mean:.4f}" for name, mean in zip(self.named, means, strict=True))
        span = clock - self.began
        return f"{found}, {self.heard / span:.0f} s of audio/s, {span / self.steps:.2f} s/step"


def learned(task: Task) -> list[tuple[str, nn.Parameter]]:
    """All parameters by name but those that stay as they are."""
    both = [*task.model.named_parameters(), *task.heads.named_parameters()]
    return [(name, parameter) for name, parameter in both if parameter.requires_grad]


def optimizers(task: Task) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for everything else."""
    matrices: list[Tensor] = []
    others: list[Tensor] = []
    plain: list[Tensor] = []
    for name, parameter in learned(task):
        if parameter.ndim < 2:
            plain.append(parameter)
        elif parameter.ndim == 2 and ".layers." in name:
            matrices.append(parameter)
        else:
            others.append(parameter)
    adam = torch.optim.AdamW(
        [{"params": others, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}],
        lr=task.rate,
        betas=(0.9, 0.98),
        fused=True,
    )
    muon = torch.optim.Muon(
        matrices,
        lr=task.matrix_rate,
        weight_decay=0.05,
        momentum=0.95,
        adjust_lr_fn="match_rms_adamw",
    )
    return [adam, muon]


def base_rates(made: list[torch.optim.Optimizer]) -> list[list[float]]:
    """The learning rate of each group before the schedule.

    To be read before a state is restored: a saved state holds the rates of its last step.
    """
    return [[group["lr"] for group in optimizer.param_groups] for optimizer in made]


def rate_factor(progress: float, warmup: float) -> float:
    """The learning rate's factor at `progress` (0 to 1): linear warmup, then half a cosine."""
    if progress < warmup:
        return max(progress / warmup, 0.02)
    done = min(1.0, (progress - warmup) / (1 - warmup))
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))


def auxiliary_weight(progress: float) -> float:
    """The weight of the auxiliary losses, which fade."""
    return max(0.1, 0.5 - 0.8 * progress)


@dataclass
class Run:
    """One process of a training run: all its state."""

    settings: Settings
    rank: int
    task: Task
    average: Any
    optimizers: list[torch.optim.Optimizer]
    rates: list[list[float]]
    step: int = 0
    clock: float = 0.0

    @property
    def model(self) -> Any:
        """The network that is trained."""
        return self.task.model

    @property
    def heads(self) -> nn.Module:
        """What the auxiliary losses need besides."""
        return self.task.heads

    def train(self) -> None:
        """Train until time is up; process 0 logs, measures and saves."""
        parameters = [p for _, p in learned(self.task)]
        lockstep = Lockstep(parameters, self.rank, self.settings.processes)
        total = self.settings.minutes * 60
        began = time.monotonic() - self.clock
        meter, measured, saved = Meter(self.clock, self.task.named), self.clock, self.clock
        batches = self.task.batches(self.step, self.rank)
        while self.clock < total:
            progress = self.task.progress = self.clock / total
            batch = next(batches)
            found = self.task.losses(batch)
            found.total(auxiliary_weight(progress)).backward()  # type: ignore[no-untyped-call]
            self.clock = lockstep.average(time.monotonic() - began)
            nn.utils.clip_grad_norm_(parameters, 1.0)
            self._descend(rate_factor(progress, WARMUP))
            if self.rank > 0:
                continue
            self._follow()
            meter.add(found.values, batch.seconds * self.settings.processes)
            if self.clock - meter.began > LOG_EVERY:
                self._log(f"step {self.step} {meter.line(self.clock)}")
                meter = Meter(self.clock, self.task.named)
            if self.clock - measured > MEASURE_EVERY:
                measured = self.clock
                self._log(self.task.measure(self.average))
            if self.clock - saved > STATE_EVERY:
                saved = self.clock
                self.save()
        if self.rank == 0:
            self.save()

    def save(self) -> None:
        """Write everything needed to go on, atomically."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "heads": self.heads.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "seconds": self.clock,
        }
        path = state_path(type(self.task), self.settings.cache)
        part = path.with_suffix(".part")
        torch.save(state, part)
        part.replace(path)

    def restore(self) -> None:
        """Go on from the saved state; the time it took counts as spent."""
        state = torch.load(state_path(type(self.task), self.settings.cache), weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.heads.load_state_dict(state["heads"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.clock = state["step"], state["seconds"]

    def _descend(self, scale: float) -> None:
        for optimizer, bases in zip(self.optimizers, self.rates, strict=True):
            for group, base in zip(optimizer.param_groups, bases, strict=True):
                group["lr"] = base * scale
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the running average of the weights, which is what is measured and exported."""
        decay = min(AVERAGE_DECAY, self.step / (self.step + 50))
        torch._foreach_lerp_(
            list(self.average.parameters()), list(self.model.parameters()), 1 - decay
        )

    def _log(self, message: str) -> None:
        print(f"{self.clock / 60:6.2f} min {message}", flush=True)


def state_path(task: type[Task], cache: Path) -> Path:
    """Where the state of a run lies."""
    return cache / task.folder / "state.pt"


def start(task: type[Task], rank: int, settings: Settings) -> Run:
    """Build a process's share of a run."""
    torch.manual_seed(settings.seed)
    begun = task(settings, corpora.load(settings.cache / "corpus"))
    average = begun.blank()
    average.load_state_dict(begun.model.state_dict())
    made = optimizers(begun)
    run = Run(settings, rank, begun, average.eval(), made, base_rates(made))
    if settings.resume:
        run.restore()
    return run


def _process(rank: int, task: type[Task], settings: Settings) -> None:
    torch.set_num_threads(1)
    if settings.processes > 1:
        dist.init_process_group(
            "gloo",
            init_method=f"file://{_meeting(task, settings).resolve()}",
            rank=rank,
            world_size=settings.processes,
        )
    start(task, rank, settings).train()
    if settings.processes > 1:
        dist.destroy_process_group()


def _meeting(task: type[Task], settings: Settings) -> Path:
    return settings.cache / task.folder / "meeting"


def train(task: type[Task], settings: Settings) -> None:
    """Run the training in `settings.processes` processes to the end of its time, and export."""
    _meeting(task, settings).unlink(missing_ok=True)
    os.environ.update(_ALLOCATOR)
    if not settings.resume:
        task.prepare(settings)
    torch.multiprocessing.spawn(  # type: ignore[attr-defined,no-untyped-call]
        _process, (task, settings), nprocs=settings.processes
    )
    export_state(task, settings.cache, settings.output)


def export_state(task: type[Task], cache: Path, output: Path) -> None:
    """Write the checkpoint from the saved state of a run, finished or not."""
    state = torch.load(state_path(task, cache), weights_only=True, map_location="cpu")
    task.export(state["average"], cache, output)
