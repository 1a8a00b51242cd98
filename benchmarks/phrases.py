"""How much memory SAM 3 takes to look for eight phrases in an image, against one: at most 1.2 times is meant.

All in this one run, with random weights of a middling size, which take the memory that trained ones take. Beside it
transformers' own way of asking several phrases at once, a batch in which the image stands once for each of them.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import parser, save, table

PHRASES = [f"thing {letter}" for letter in "abcdefgh"]
LIMIT = 1.2


def middling(side: int, width: int, layers: int):
    """Return a Sam3Model, a Sam3TrackerModel and a processor of random weights; ``side`` pixels square."""
    import transformers

    from tests.models.tiny_sam3 import processor

    grid = side // 14
    vision = dict(
        backbone_config=dict(
            model_type="sam3_vit_model",
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=layers,
            num_attention_heads=width // 64,
            image_size=side,
            patch_size=14,
            window_size=grid // 3,
            global_attn_indexes=[layers - 1],
            pretrain_image_size=side // 3,
        ),
        backbone_feature_sizes=[[4 * grid] * 2, [2 * grid] * 2, [grid] * 2],
    )
    text = dict(
        vocab_size=520,
        hidden_size=256,
        intermediate_size=1024,
        projection_dim=256,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=32,
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
    )
    few = dict(num_layers=2)
    detector = transformers.Sam3Model(
        transformers.Sam3Config(
            vision_config=vision,
            text_config=text,
            geometry_encoder_config=few,
            detr_encoder_config=few,
            detr_decoder_config=few,
        )
    )
    tracker = transformers.Sam3TrackerModel(
        transformers.Sam3TrackerConfig(vision_config=vision, prompt_encoder_config=dict(image_size=side))
    )
    tracker.vision_encoder.backbone.load_state_dict(detector.vision_encoder.backbone.state_dict())
    read = processor()
    read.image_processor.size = {"height": side, "width": side}
    return detector.requires_grad_(False), tracker.requires_grad_(False), read


class Memory:
    """The most memory that was taken since the last ``reset``, in bytes: of a graphics card, else of this process."""

    def __init__(self, device: str) -> None:
        self._card = device != "cpu"

    def reset(self) -> int:
        """Begin anew, and return what is taken now."""
        import torch

        gc.collect()
        if self._card:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            return torch.cuda.memory_allocated()
        Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the peak so far
        return self._of_process("VmRSS")

    def peak(self) -> int:
        import torch

        return torch.cuda.max_memory_allocated() if self._card else self._of_process("VmHWM")

    def _of_process(self, what: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(what))


def measured(memory: Memory, work: Callable[[], object]) -> tuple[int, int, float]:
    """Return the peak of a piece of work in bytes, how far that is above what was taken before, and its seconds."""
    before, started = memory.reset(), time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    peak = memory.peak()
    return peak, peak - before, seconds


def main() -> None:
    import torch

    from models._sam.sam3 import Sam3

    arguments = parser(__doc__).parse_args()
    torch.manual_seed(arguments.seed)
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    side, width, layers = (252, 128, 2) if arguments.quick else (504, 256, 4)
    detector, tracker, processor = middling(side, width, layers)
    sam3 = Sam3(detector, tracker, processor, device)
    image = np.random.default_rng(arguments.seed).integers(0, 255, (768, 1024, 3), dtype=np.uint8)
    memory = Memory(device)

    def ask(phrases: list[str]) -> None:
        sam3._seen.clear()  # each time from the image on
        sam3._latest = None
        sam3._read.clear()
        sam3.detect_text([image], phrases, floor=0.9)

    def batch() -> None:
        inputs = processor(images=[image] * len(PHRASES), text=PHRASES, return_tensors="pt").to(device)
        with torch.inference_mode():
            detector(**inputs)

    ask(PHRASES[:1])  # what is made once and stays
    one = measured(memory, lambda: ask(PHRASES[:1]))
    eight = measured(memory, lambda: ask(PHRASES))
    together = measured(memory, batch)
    rows = [
        (name, peak / 1e6, peak / one[0], above / 1e6, above / max(one[1], 1), seconds)
        for name, (peak, above, seconds) in (
            ("one phrase", one),
            ("eight phrases", eight),
            ("eight phrases, transformers' batch", together),
        )
    ]
    print(f"SAM 3 of {side} pixels and random weights on {device}; the encoder's work included\n")
    print(table(["", "peak MB", "× one", "above before MB", "× one", "seconds"], rows))
    ratio = eight[0] / one[0]
    print(f"\nEight phrases take {ratio:.2f} × the peak of one; at most {LIMIT} is meant.")
    save(
        {
            "sam3_peak_1_phrase_mb": one[0] / 1e6,
            "sam3_peak_8_phrases_mb": eight[0] / 1e6,
            "sam3_peak_8_over_1": ratio,
            "sam3_above_8_over_1": eight[1] / max(one[1], 1),
            "transformers_batch_over_1": together[0] / one[0],
        },
        arguments.json,
    )


if __name__ == "__main__":
    main()
