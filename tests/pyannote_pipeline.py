"""A pyannote pipeline of random weights, in the files that a true one has."""

from __future__ import annotations

from pathlib import Path

import numpy as np

CONFIG = """\
dependencies:
  pyannote.audio: 4.0.0
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: VBxClustering
    segmentation: $model/segmentation
    segmentation_batch_size: 32
    embedding: $model/embedding
    embedding_batch_size: 32
    embedding_exclude_overlap: true
    plda: $model/plda
params:
  clustering: {threshold: 0.6, Fa: 0.07, Fb: 0.8}
  segmentation: {min_duration_off: 0.0}
"""
"""That of pyannote/speaker-diarization-community-1."""
DIMENSION, LDA_DIMENSION = 512, 128
"""Of the embeddings, and of what the clustering makes of them."""


def write_pipeline(directory: Path) -> Path:
    """Write the pipeline, the same each time; returns its directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yaml").write_text(CONFIG)
    _write_networks(directory)
    _write_plda(directory / "plda")
    return directory


def _write_networks(directory: Path) -> None:
    import torch
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.embedding import XVectorMFCC
    from pyannote.audio.models.segmentation import PyanNet
    from pytorch_lightning import Trainer

    torch.manual_seed(4)
    hears = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=10.0,
        classes=["one", "two", "three"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    segmentation = PyanNet(
        lstm={"hidden_size": 8, "num_layers": 1}, linear={"hidden_size": 8, "num_layers": 1}
    )
    segmentation.specifications = hears
    segmentation.build()
    knows = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=10.0
    )
    embedding = XVectorMFCC(dimension=DIMENSION)
    embedding.specifications = knows
    embedding.build()
    with torch.no_grad():
        for weights in segmentation.lstm.parameters():
            weights.normal_(0, 1.0)  # or nothing that is heard would change the outcome
        segmentation.classifier.weight.normal_(0, 4.0)
        segmentation.classifier.bias.zero_()
    for name, model in (("segmentation", segmentation), ("embedding", embedding)):
        (directory / name).mkdir(exist_ok=True)
        trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
        trainer.strategy.connect(model)
        trainer.save_checkpoint(directory / name / "pytorch_model.bin", weights_only=True)


def _write_plda(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    random = np.random.default_rng(4)
    np.savez(
        directory / "xvec_transform.npz",
        mean1=np.zeros(DIMENSION),
        mean2=np.zeros(LDA_DIMENSION),
        lda=random.standard_normal((DIMENSION, LDA_DIMENSION)) / DIMENSION**0.5,
    )
    np.savez(
        directory / "plda.npz",
        mu=np.zeros(LDA_DIMENSION),
        tr=np.eye(LDA_DIMENSION),
        psi=np.linspace(4, 0.1, LDA_DIMENSION),
    )
