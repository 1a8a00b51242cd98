"""Make the demo checkpoint of Grounding DINO: words to boxes on the drawn scenes, in GroundingDinoForObjectDetection.

A backbone from scratch learns slowly from a matching loss alone. So it is warmed up by a dense head that says
at each place of its maps what lies there (thrown away afterwards); then the whole learns together: each place
of the encoder is taught densely which words it answers to, and the decoder one box a thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.demo import loop
from benchmarks.demo.grounding_dino_lessons import FIXED, Asked, Batch, Texts, batches, memorise
from benchmarks.demo.grounding_dino_losses import dense_loss, dense_targets, matched_loss
from benchmarks.demo.metrics import average_precision
from benchmarks.demo.saving import save
from benchmarks.demo.scenes import Drawn, drawn
from studio.annotations import Box
from studio.scenes import CLASSES, PHRASES

SIDE = (240, 320)  # what a 640 × 480 scene becomes
STRIDES = (16, 32)
QUERIES = 36
SCENES = 3000
SIZE = 16  # pictures a batch
COARSE = 192  # the short side that training begins with: a third less to compute
WARM_STEPS = 1000


@dataclass(frozen=True)
class Round:
    """A stretch of training: the pictures' short side, the learning rate, the steps, and whether Muon takes them."""

    side: int
    rate: float
    steps: int
    muon: bool = False


# Muon was found last, and does in a round what AdamW had not come near to in two.
ROUNDS = (Round(COARSE, 1e-3, 800), Round(SIDE[0], 5e-4, 900), Round(SIDE[0], 1e-3, 2200, muon=True))


# ---- the model ------------------------------------------------------------------------------------


def vocabulary() -> dict[str, int]:
    """Return whole words for what is in the scenes and single characters for all else."""
    printable = [chr(code) for code in range(33, 127) if not chr(code).isupper() and chr(code) not in ".?"]
    words = sorted({word for text in PHRASES for word in text.split()} | {f"{name}s" for name in CLASSES})
    tokens = (
        [w for w in words if len(w) > 1] + printable + [f"##{c}" for c in printable if c.isalnum()] + ["##s"]
    )
    known = dict(FIXED)
    free = iter(i for i in range(104, 1012))
    for token in dict.fromkeys(tokens):
        known[token] = next(free)
    taken = set(known.values())
    for i in range(max(FIXED.values()) + 1):
        if i not in taken:
            known[f"[unused{i}]"] = i
    return dict(sorted(known.items(), key=lambda item: item[1]))


def build(seed: int = 0) -> tuple[Any, Any]:
    """Return a fresh model and its processor."""
    import transformers

    torch.manual_seed(seed)
    tokens = transformers.BertTokenizer(vocab=vocabulary(), model_max_length=256)
    images = transformers.GroundingDinoImageProcessor(size={"shortest_edge": min(SIDE), "longest_edge": 448})
    config = transformers.GroundingDinoConfig(
        backbone_config=dict(
            model_type="swin",
            image_size=list(SIDE),
            patch_size=8,
            embed_dim=48,
            depths=[2, 4, 2],
            num_heads=[3, 6, 12],
            window_size=5,
            mlp_ratio=3.0,
            drop_path_rate=0.0,
            out_indices=[2, 3],
        ),
        text_config=dict(
            model_type="bert",
            vocab_size=len(tokens),
            hidden_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=192,
            max_position_embeddings=256,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        ),
        d_model=128,
        num_feature_levels=len(STRIDES),
        num_queries=QUERIES,
        encoder_layers=2,
        encoder_ffn_dim=256,
        encoder_attention_heads=4,
        encoder_n_points=2,
        decoder_layers=3,
        decoder_ffn_dim=256,
        decoder_attention_heads=4,
        dropout=0.0,
        fusion_droppath=0.0,
    )
    model = transformers.GroundingDinoForObjectDetection(config)
    _scale(model)
    return model, transformers.GroundingDinoProcessor(images, tokens)


def _scale(model: Any) -> None:
    """Start from weights that suit a narrow model; those of the library suit a wide one that was trained before."""
    keep = ("sampling_offsets", "attention_weights", "bbox_embed")
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and not any(part in name for part in keep):
            torch.nn.init.xavier_uniform_(module.weight)
    core = model.model
    with torch.no_grad():
        core.query_position_embeddings.weight.normal_(0, 0.5)
        for layer in core.encoder.layers:
            layer.fusion_layer.vision_param.fill_(0.05)
            layer.fusion_layer.text_param.fill_(0.05)
        # A place's answer to a word is a plain product, without scale or bias: let it begin near −4 ± 1, as
        # nearly all places answer to no word.
        signs = torch.where(torch.rand(model.config.d_model) < 0.5, -1.0, 1.0)
        last = core.encoder.layers[-1].text_enhancer_layer.layer_norm_after
        last.weight.fill_(0.1)
        last.bias.copy_(-0.08 * signs)
        core.enc_output_norm.bias.copy_(0.4 * signs)
        core.decoder.layer_norm.bias.copy_(0.4 * signs)


# ---- learning -------------------------------------------------------------------------------------


class Warmup(torch.nn.Module):
    """The dense head that warms the backbone up and is thrown away: phrases and a box at each place of its maps."""

    def __init__(self, core: Any) -> None:
        super().__init__()
        width = core.config.d_model
        self.core = core
        self.hidden = torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.GELU())
        self.say = torch.nn.Linear(width, len(PHRASES))
        self.box = torch.nn.Linear(width, 4)
        torch.nn.init.constant_(self.say.bias, -4.0)
        torch.nn.init.zeros_(self.box.weight)

    def loss(self, batch: Batch) -> torch.Tensor:
        core = self.core
        with torch.autocast(batch.pixels.device.type, torch.bfloat16):
            maps = core.backbone.conv_encoder.model(batch.pixels, return_dict=True).feature_maps
            projected = [core.input_proj_vision[i](level) for i, level in enumerate(maps)]
            shapes = [tuple(level.shape[-2:]) for level in projected]
            seen = self.hidden(torch.cat([level.flatten(2).transpose(1, 2) for level in projected], 1))
            said, moved = self.say(seen).float(), self.box(seen).float()
        proposals = torch.cat([_proposals(*shape, level) for level, shape in enumerate(shapes)])
        dense = dense_targets(batch.boxes, shapes)
        return dense_loss(said, (moved + proposals).sigmoid(), dense, batch.phrases, torch.eye(len(PHRASES)))


def _proposals(height: int, width: int, level: int) -> torch.Tensor:
    """Return the boxes, as logits, that the model itself begins with at each place of a map."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    size = torch.full((height * width,), 0.05 * 2**level)
    return torch.logit(torch.stack([x.flatten() / width, y.flatten() / height, size, size], -1))


def whole_loss(model: Any, batch: Batch, asked: Asked) -> dict[str, torch.Tensor]:
    """Return the loss of the encoder's places and of each layer of the decoder."""
    height, width = batch.pixels.shape[-2:]
    tokens = asked.ids.shape[1]
    with torch.autocast(batch.pixels.device.type, torch.bfloat16):
        out = model.model(pixel_values=batch.pixels, input_ids=asked.ids.expand(len(batch.pixels), -1))
    shapes = [(-(-height // stride), -(-width // stride)) for stride in STRIDES]
    dense = dense_targets(batch.boxes, shapes)
    said = out.enc_outputs_class[..., :tokens].float()
    boxes = out.enc_outputs_coord_logits.float().sigmoid()
    losses = {"places": dense_loss(said, boxes, dense, batch.phrases, asked.names)}
    text = out.encoder_last_hidden_state_text.float()
    reference = out.init_reference_points.float()
    for layer in range(out.intermediate_hidden_states.shape[1]):
        hidden = out.intermediate_hidden_states[:, layer].float()
        boxes = (model.bbox_embed[layer](hidden) + torch.logit(reference, eps=1e-5)).sigmoid()
        said = hidden @ text.transpose(1, 2)
        losses[f"layer{layer}"] = matched_loss(said, boxes, batch.boxes, batch.phrases, asked.names)
        reference = out.intermediate_reference_points[:, layer].float()
    return losses


def warm_up(model: Any, processor: Any, scenes: Any, *, seed: int, steps: int) -> None:
    where = loop.device()
    warm = Warmup(model.model).to(where)
    shown = batches(scenes, processor, SIZE, steps, seed, COARSE)

    def loss(batch: Batch) -> torch.Tensor:
        with where:
            return warm.loss(batch.to(where))

    loop.fit(warm, shown, loss, steps=steps, rate=1.5e-3, clip=5.0, bf16=False, say="backbone")


def teach(model: Any, processor: Any, scenes: Any, folder: Path, stretch: Round, *, seed: int) -> None:
    """Train the whole for a round; the checkpoint in ``folder`` is written now and then."""
    where = loop.device()
    model.to(where)
    texts = Texts(processor.tokenizer, seed)

    def loss(batch: Batch) -> dict[str, torch.Tensor]:
        asked = texts.next().to(where)
        with where:
            return whole_loss(model, batch.to(where), asked)

    loop.fit(
        model,
        batches(scenes, processor, SIZE, stretch.steps, seed, stretch.side),
        loss,
        steps=stretch.steps,
        rate=stretch.rate,
        clip=5.0,
        muon=stretch.muon,
        bf16=False,
        say="whole",
        snapshot=lambda averaged: save(averaged, folder, processor),
        snapshot_every=300,
    )
    save(model, folder, processor)


def train(folder: Path, *, seed: int = 0, quick: bool = False) -> None:
    """Train from scratch and write the checkpoint; ``quick`` only shows that it runs."""
    loop.seed_all(seed)
    model, processor = build(seed)
    scenes = memorise(drawn("train", 32 if quick else SCENES), processor)
    warm_up(model, processor, scenes, seed=seed, steps=4 if quick else WARM_STEPS)
    for number, stretch in enumerate(ROUNDS, 1):
        stretch = replace(stretch, steps=4) if quick else stretch
        teach(model, processor, scenes, folder, stretch, seed=seed + number)


def measure(adapter: Any, scenes: Sequence[Drawn]) -> dict[str, float]:
    """Return the mean AP and AP50 of all phrases, asked for at once, and how often a colour is told right.

    ``gdino_colour`` is of the things in two colours or more: of those whose surest box overlaps them by half or
    more and names the right kind of thing, the share where it names the right colour too.
    """
    found = adapter.detect_text([scene.image for scene in scenes], PHRASES, floor=0.01)
    figures = average_precision(scenes, found, PHRASES, named="phrase")
    right = kinds = 0
    for scene, detections in zip(scenes, found, strict=True):
        for thing in scene.things:
            here = [d for d in detections if _overlap(d.box, thing.box) >= 0.5]
            if thing.colour and here and here[0].name.endswith(f" {thing.name}"):
                kinds += 1
                right += here[0].name == thing.phrase
    return {
        "gdino_words_ap50": figures["ap50"],
        "gdino_words_ap": figures["ap"],
        "gdino_colour": right / max(kinds, 1),
    }


def _overlap(one: Box, other: Box) -> float:
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    shared = max(0.0, width) * max(0.0, height)
    return shared / (one.area + other.area - shared)
