"""Loading a checkpoint that fits its configuration and can be run, which is found out first.

``from_pretrained`` fills missing tensors with random numbers and a warning; a server that did the
same would invent text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from polyasr.engine.linear import INT8, int8_supported
from polyasr.engine.threads import fit_threads
from polyasr.errors import ModelUnavailable, first_line

Shape = tuple[int, ...]


def load_pretrained(wrapper_class: Any, directory: Path, device: str, dtype: str) -> Any:
    """An instance of one of ``qwen-asr``'s wrappers; ``dtype`` is a torch dtype's name, or int8.

    With int8 its weights are in bfloat16, for the linear layers to be made of. Raises
    ModelUnavailable when the weights do not fit the configuration, or int8 is not to be had.
    """
    check_weights(directory)
    if dtype == INT8 and not int8_supported(torch.device(device)):
        raise ModelUnavailable(
            "int8 weights are for the CPU, with a torch that has oneDNN: choose another "
            "POLYASR_DTYPE"
        )
    try:
        wrapper = wrapper_class.from_pretrained(
            str(directory),
            dtype=torch.bfloat16 if dtype == INT8 else getattr(torch, dtype),
            device_map=device,
            attn_implementation="sdpa",
            local_files_only=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelUnavailable(
            f"the model in {directory} cannot be loaded: {first_line(error)}; "
            "check the files, or use the bundled one, tiny"
        ) from error
    wrapper.model.eval()
    fit_threads(wrapper.model)
    return wrapper


def check_weights(directory: Path) -> None:
    """Compare names and shapes of all tensors, and look whether the encoder's windows make sense.

    Raises ModelUnavailable, naming the first fault.
    """
    from qwen_asr.core.transformers_backend import Qwen3ASRConfig

    config = Qwen3ASRConfig.from_pretrained(str(directory), local_files_only=True)
    _check_windows(directory, config.thinker_config.audio_config)
    expected, tied = _expected(config)
    found = _found(directory)
    for name, shape in expected.items():
        if name not in found and name not in tied:
            raise _mismatch(directory, f"the tensor {name} is missing")
        if name in found and found[name] != shape:
            raise _mismatch(
                directory, f"{name} has shape {found[name]}, but config.json asks for {shape}"
            )


def _check_windows(directory: Path, audio: Any) -> None:
    """Windows of attention consist of whole chunks of ``2 * n_window`` mel frames."""
    chunk, window = 2 * audio.n_window, audio.n_window_infer
    if chunk < 1 or window < chunk or window % chunk:
        raise ModelUnavailable(
            f"the model in {directory} cannot be run: its config.json has n_window "
            f"{audio.n_window} and n_window_infer {window}, which must be a multiple of twice "
            "that; download the checkpoint again, or use the bundled one, tiny"
        )


def _expected(config: Any) -> tuple[dict[str, Shape], frozenset[str]]:
    """The parameters that the configuration asks for, and which may be left out, being tied."""
    from qwen_asr.core.transformers_backend import Qwen3ASRForConditionalGeneration

    with torch.device("meta"):
        model = Qwen3ASRForConditionalGeneration(config)
    tied: frozenset[str] = frozenset()
    if config.thinker_config.text_config.tie_word_embeddings:
        tied = frozenset({"thinker.lm_head.weight"})
    return {name: tuple(tensor.shape) for name, tensor in model.named_parameters()}, tied


def _found(directory: Path) -> dict[str, Shape]:
    from safetensors import SafetensorError, safe_open

    found: dict[str, Shape] = {}
    for file in sorted(directory.glob("*.safetensors")):
        try:
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - no mapping, it only has keys()
                    found[name] = tuple(tensors.get_slice(name).get_shape())
        except SafetensorError as error:
            raise _mismatch(directory, f"{file.name} cannot be read ({error})") from error
    return found


def _mismatch(directory: Path, what: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"the weights in {directory} do not match its config.json: {what}; "
        "download the checkpoint again, or use the bundled one, tiny"
    )
