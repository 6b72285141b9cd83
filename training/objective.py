"""What the training minimises: the text, and two auxiliaries that are thrown away afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.batches import Batch
from training.network import Sizes, decode, embed, encode, token_count


class Heads(nn.Module):
    """Auxiliary heads: phonemes of the encoder's frames, and CTC.

    CTC sits on the decoder's hidden states at the audio, because positions in the encoder start
    anew each second and only the decoder knows order; on those of its first layer, so that the
    later ones find words to read. (On the last layer it is learned as fast, but for long the
    text does without the audio.)
    """

    def __init__(self, sizes: Sizes, phones: int, vocabulary: int) -> None:
        super().__init__()
        self.phones = nn.Linear(sizes.decoder_width, phones)
        self.ctc = nn.Linear(sizes.decoder_width, vocabulary + 1)


@dataclass(frozen=True)
class TextLosses:
    """The losses of a batch, each the mean over its targets."""

    text: Tensor
    phones: Tensor
    ctc: Tensor

    def total(self, auxiliary: float) -> Tensor:
        """The weighted sum that is minimised."""
        return self.text + auxiliary * (self.phones + self.ctc)

    @property
    def values(self) -> Tensor:
        """The three numbers, for a log."""
        return torch.stack([self.text, self.phones, self.ctc]).detach()


def losses(model: Any, heads: Heads, batch: Batch, audio_token: int) -> TextLosses:
    """One forward pass, under bf16 autocast."""
    thinker = model.thinker
    ids, targets = batch.sequences.ids, batch.sequences.targets
    learned = targets >= 0
    with torch.autocast("cpu", torch.bfloat16):
        audio = encode(thinker.audio_tower, batch.features)
        hidden, layers = decode(thinker.model, embed(thinker, ids, audio, audio_token).bfloat16())
        logits = thinker.lm_head(hidden[learned])
        phones = heads.phones(audio)
        heard = layers[0][ids == audio_token]
        ctc = heads.ctc(functional.rms_norm(heard, heard.shape[-1:]))
    return TextLosses(
        functional.cross_entropy(logits.float(), targets[learned]),
        functional.cross_entropy(phones.float(), batch.phones),
        _ctc(ctc.float(), batch),
    )


def _ctc(logits: Tensor, batch: Batch) -> Tensor:
    """CTC of the texts, from logits [audio tokens of all clips, vocabulary + 1]."""
    lengths = torch.tensor([token_count(clip.shape[1]) for clip in batch.features])
    clips = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    times = torch.cat([torch.arange(length) for length in lengths.tolist()])
    rows = logits.new_zeros(int(lengths.max()), len(lengths), logits.shape[-1])
    rows = rows.index_put((times, clips), logits)
    targets = [torch.tensor(text, dtype=torch.long) for text in batch.texts]
    total = functional.ctc_loss(
        functional.log_softmax(rows, -1),
        torch.cat(targets),
        lengths,
        torch.tensor([len(text) for text in targets]),
        blank=logits.shape[-1] - 1,
        reduction="sum",
        zero_infinity=True,
    )
    return total / max(1, sum(len(text) for text in targets))
