"""``python -m bench``: the measurements, one subcommand each."""

from __future__ import annotations

import argparse


def main() -> None:
    """Run one measurement and print its table."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure polyasr.")
    commands = parser.add_subparsers(dest="command", required=True)
    engine = commands.add_parser("engine", help="what a partial costs, against re-transcription")
    engine.add_argument("--size", default="0.6b", help="0.6b or 1.7b, with random weights")
    engine.add_argument("--dtype", default="bfloat16", help="a torch dtype (bfloat16)")
    engine.add_argument("--device", default="cpu")
    engine.add_argument("--seconds", type=int, default=30, help="length of the recording (30)")
    engine.add_argument("--repeats", type=int, default=1, help="the median of so many runs (1)")
    arguments = parser.parse_args()

    import torch

    from bench.engine import measure, report
    from bench.sizes import random_model
    from polyasr.engine.qwen_torch import QwenTorch

    model = random_model(arguments.size, getattr(torch, arguments.dtype), arguments.device)
    cost = measure(QwenTorch(model), arguments.seconds, arguments.repeats)
    print(f"Qwen3-ASR {arguments.size}, random weights, {arguments.dtype}, {arguments.device}")
    print(report(cost, arguments.seconds))


if __name__ == "__main__":
    main()
