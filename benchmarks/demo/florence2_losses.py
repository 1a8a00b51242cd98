"""The losses that teach the demo Florence-2: dense ones for its tower, and those of its language model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.demo.florence2_lessons import CELLS, Batch, Study
from studio.scenes import PHRASES

BLUR = 8.0  # how far, in location tokens, a place may be missed at little cost
FAR = 10.0  # what a whole image's side of being off costs beside the spelling of a place
PLACES = 1000


class Pupil(torch.nn.Module):
    """The model with the heads that only help it to learn."""

    def __init__(self, model: Any, processor: Any) -> None:
        super().__init__()
        self.model = model
        wide = int(model.config.text_config.d_model)
        self.places = processor.tokenizer.convert_tokens_to_ids("<loc_0>")
        self.dense = torch.nn.Sequential(
            torch.nn.Linear(wide, wide), torch.nn.GELU(), torch.nn.Linear(wide, 1 + 2 * len(PHRASES) + 4)
        )
        self.flag = torch.nn.Linear(wide, 1)
        self.sides = torch.nn.Linear(wide, 4 * wide)
        # Rarely written, their embeddings would be carried off by what they are not: they stay as they began.
        model.get_input_embeddings().weight.register_hook(self._without_places)
        lines = (torch.arange(CELLS) + 0.5) / CELLS
        y, x = torch.meshgrid(lines, lines, indexing="ij")
        self.register_buffer("middles", torch.stack([x, y, x, y], -1).view(-1, 4))

    def _without_places(self, slope: torch.Tensor) -> torch.Tensor:
        kept = slope.clone()
        kept[self.places : self.places + PLACES] = 0
        return kept

    def maps(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the vision tower's maps, computed in bfloat16, which is twice as quick on a processor."""
        tower = self.model.model.vision_tower
        weights = {name: value.bfloat16() for name, value in tower.named_parameters()}
        seen = pixels.to(self.middles.device).bfloat16()
        return torch.func.functional_call(tower, weights, (seen,)).last_hidden_state

    def dense_loss(self, seen: tuple[torch.Tensor, list[Study]]) -> dict[str, torch.Tensor]:
        pixels, studies = seen
        return self.dense_losses(self.maps(pixels), studies)

    def dense_losses(self, maps: torch.Tensor, studies: list[Study]) -> dict[str, torch.Tensor]:
        """Say at each cell which phrase names what lies there, whose middle it is, and where that ends."""
        tokens = self.model.model.multi_modal_projector(maps.float())[:, 1:]
        kinds = len(PHRASES)
        lies, middle, sides = self.dense(tokens).split([1 + kinds, kinds, 4], -1)
        owners = torch.zeros(lies.shape[:2], dtype=torch.long)
        middles = torch.zeros(middle.shape)
        boxes = torch.zeros(sides.shape)  # filled in main memory, thing by thing
        for i, of in enumerate(studies):
            numbers = np.array([PHRASES.index(p) for p in of.phrases])
            owner = of.owner.ravel()
            owners[i] = torch.from_numpy(np.where(owner < 0, 0, numbers[owner] + 1))
            boxes[i] = torch.from_numpy(of.boxes[owner])
            middles[i, of.cells[:, 1] * CELLS + of.cells[:, 0], numbers] = 1
        owners, middles, boxes = (each.to(maps.device) for each in (owners, middles, boxes))
        cross = torch.nn.functional.cross_entropy(lies.flatten(0, 1), owners.flatten())
        there = owners > 0
        missed = self.middles + 0.3 * sides - boxes
        binary = torch.nn.functional.binary_cross_entropy_with_logits(
            middle - 4, middles, pos_weight=middles.new_tensor(8.0), reduction="sum"
        )
        return {
            "lies": cross,
            "middle": binary / middles.sum().clamp(min=1) * 0.2,
            "ends": missed[there].abs().mean() * 8,
        }

    def language_loss(self, asked: Batch) -> dict[str, torch.Tensor]:
        """Write what a batch asks for, each word given those before it."""
        asked = asked.to(self.middles.device)
        core = self.model.model
        language, words = core.language_model, core.get_input_embeddings()
        images = core.multi_modal_projector(asked.maps.float())[asked.picture]
        embeds = torch.cat([images, words(asked.prompts).to(images.dtype)], 1)
        mask = torch.cat([asked.mask.new_ones(images.shape[:2]), asked.mask], 1)
        encoded = language.encoder(inputs_embeds=embeds, attention_mask=mask).last_hidden_state
        cells = encoded[:, 1 : 1 + CELLS * CELLS]
        flags = self.flag(cells)[..., 0] - 4
        losses = {
            "flags": torch.nn.functional.binary_cross_entropy_with_logits(
                flags.float(), asked.flags, pos_weight=asked.flags.new_tensor(8.0), reduction="sum"
            )
            / asked.flags.sum().clamp(min=1)
            * 0.1
        }
        marked = cells[asked.flags > 0]
        if len(marked):
            logits = (
                self.sides(marked).unflatten(-1, (4, -1)) @ words.weight[self.places : self.places + PLACES].T
            )
            losses["sides"] = 0.2 * self._placed(logits.float(), asked.boxes).mean()
        for kind, rows, given, wanted in asked.groups:
            hidden = language.decoder(
                input_ids=given,
                encoder_hidden_states=encoded[rows],
                encoder_attention_mask=mask[rows],
                use_cache=False,
            ).last_hidden_state
            written = wanted >= 0
            logits = (hidden[written] @ words.weight.T).float()
            losses[kind] = self._spelled(logits, wanted[written])
        return losses

    def _placed(self, logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Return the loss of places, near ones costing little, and of how far off they are on the average.

        ``logits`` are of places only, or log-probabilities; ``wanted`` is 0 to PLACES − 1.
        """
        line = torch.arange(PLACES, device=logits.device)
        near = torch.softmax(-(((line - wanted[..., None]) / BLUR) ** 2) / 2, -1)
        mean = (torch.softmax(logits, -1) * line).sum(-1)
        spelled = -(near * torch.log_softmax(logits, -1)).sum(-1)
        return spelled + FAR * (mean - wanted).abs() / PLACES

    def _spelled(self, logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        place = (wanted >= self.places) & (wanted < self.places + PLACES)
        plain = torch.nn.functional.cross_entropy(logits[~place], wanted[~place], reduction="sum")
        if place.any():
            these = logits[place][:, self.places : self.places + PLACES]
            # That a place is written at all, and then which.
            any_place = logits[place].logsumexp(-1) - these.logsumexp(-1)
            plain = plain + (any_place + self._placed(these, wanted[place] - self.places)).sum()
        return plain / len(wanted)

    def both_losses(self, seen: tuple[torch.Tensor, list[Study], Batch]) -> dict[str, torch.Tensor]:
        """Look and speak together, so that the tower learns what the language model needs."""
        pixels, studies, asked = seen
        asked.maps = self.maps(pixels)
        return {**self.dense_losses(asked.maps, studies), **self.language_loss(asked)}
