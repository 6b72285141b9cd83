"""A pipeline of pyannote.audio: ``config.yaml`` and a folder for each of its parts."""

from __future__ import annotations

import re
from pathlib import Path

from polyasr.checkpoint.files import Broken, reading

CONFIG = "config.yaml"
PIPELINE = "SpeakerDiarization"
PARTS = {
    "segmentation": ("pytorch_model.bin",),
    "embedding": ("pytorch_model.bin",),
    "plda": ("xvec_transform.npz", "plda.npz"),
}
"""What a pipeline is made of, and the files of each; one that its configuration does not name, or
names as another repository's, pyannote.audio would fetch unasked."""
PART = re.compile(r"\$model/([\w./-]+)")


def check(directory: Path) -> None:
    """Whether it is a pipeline that tells speakers apart, all of whose parts lie beside its
    configuration. Raises Broken.
    """
    import yaml

    file = directory / CONFIG
    try:
        with reading(file):
            pipeline = yaml.safe_load(file.read_bytes())["pipeline"]
        name, given = str(pipeline["name"]), dict(pipeline.get("params") or {})
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise Broken(file, "does not describe a pipeline of pyannote.audio") from error
    if name.rpartition(".")[2] != PIPELINE:
        raise Broken(file, f"is for {name!r}, not for {PIPELINE!r}")
    for part, names in PARTS.items():
        place = PART.fullmatch(str(given.get(part)))
        if place is None:
            raise Broken(
                file,
                f"names {given.get(part)!r} for its {part}, which does not lie beside it "
                f"($model/{part}) as that of pyannote/speaker-diarization-community-1 does",
            )
        for each in names:
            if not (directory / place[1] / each).is_file():
                raise Broken(directory / place[1] / each, "is missing")
