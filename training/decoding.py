"""Greedy recognition of many clips at once, with a cache, windowed as the server does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from training.features import log_mel
from training.network import embed, encode, token_count
from training.prompts import Prompter
from training.synthesis import Samples


@torch.no_grad()
def recognise(
    model: Any,
    prompter: Prompter,
    clips: Sequence[Samples],
    *,
    context: str | None = "",
    forced: str | None = None,
    batch: int = 12,
) -> list[str]:
    """The raw output (`language X<asr_text>…`) for each clip, float32, at most 30 s each."""
    order = sorted(range(len(clips)), key=lambda index: len(clips[index]))
    texts = [""] * len(clips)
    prompt = prompter.prompt(context=context, forced=forced)
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        features = [log_mel(clips[index]) for index in chosen]
        rows = [
            [*prompt.before, *[prompter.audio] * token_count(f.shape[1]), *prompt.after]
            for f in features
        ]
        audio = encode(model.thinker.audio_tower, features)
        limit = 16 + int(7 * max(f.shape[1] for f in features) / 100)
        for index, ids in zip(
            chosen, _greedy(model.thinker, prompter, rows, audio, limit), strict=True
        ):
            texts[index] = prompter.tokenizer.decode(ids, skip_special_tokens=True)
    return texts


def _greedy(
    thinker: Any, prompter: Prompter, rows: list[list[int]], audio: Tensor, limit: int
) -> list[list[int]]:
    from transformers import DynamicCache

    longest = max(map(len, rows))
    ids = torch.tensor([[prompter.pad] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    embedded = embed(thinker, ids, audio, prompter.audio)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = DynamicCache()
    made: list[list[int]] = [[] for _ in rows]
    running = [True] * len(rows)
    for _ in range(limit):
        hidden = thinker.model(
            inputs_embeds=embedded,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state[:, -1]
        best = thinker.lm_head(hidden).argmax(-1)
        for row, token in enumerate(best.tolist()):
            running[row] = running[row] and token != prompter.end
            if running[row]:
                made[row].append(token)
        if not any(running):
            break
        embedded = thinker.model.embed_tokens(best).unsqueeze(1)
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
        positions = positions[:, -1:] + 1
    return made
