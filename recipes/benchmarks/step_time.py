"""Time of a training step of LE-MER or MGCMA over that of its two encoders alone.

    python recipes/benchmarks/step_time.py --size base --batch 2
    python recipes/benchmarks/step_time.py --model mgcma --size base --batch 2
    python recipes/benchmarks/step_time.py --size base --batch 16 --device cuda --bf16

Baseline: each encoder as the library has it, on the same batch with the same masks, with the mean of its hidden states
as loss: forward, backward and AdamW, the two times added up. The model does the same with the same parameters, its own
layers (which AdamW updates too) and its own losses. Dropout and the encoder's SpecAugment are on; LayerDrop is off, so
that every step has the same layers. Weights are random: time does not depend on them.
"""

import argparse
import copy
from collections.abc import Callable
from typing import Any

import measuring
import torch
from measuring import Ratio
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModel, BertConfig, Wav2Vec2Config

from hf_mer.models import LeMerConfig, LeMerForEmotionClassification, MgcmaConfig, MgcmaForEmotionClassification

SIZES = {  # hidden size, layers, heads, width of the convolutions
    "tiny": (32, 2, 2, 32),
    "small": (256, 4, 4, 128),
    "base": (768, 12, 12, 512),
}
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "le_mer": {
        "constraint": {"fusion": "constraint"},
        "constraint, output_attentions": {"fusion": "constraint"},
        "sum": {"fusion": "sum"},
        "guided": {"fusion": "guided"},
        "vanilla": {"fusion": "vanilla"},
        "score": {"fusion": "score"},
    },
    "mgcma": {  # the paper's S0, S1, S2, S3 and S4
        "all": {},
        "without distribution": {"alignment_order": ["token", "instance"]},
        "without token": {"alignment_order": ["distribution", "instance"]},
        "without instance": {"alignment_order": ["distribution", "token"]},
        "without alignment": {"alignment_order": []},
    },
}
# Dense TFLOP/s of the data sheets, (bf16, fp32); matrix products in fp32 do not use TF32 unless PyTorch is told to.
PEAK_TFLOPS = {
    "H200": (989, 67), "H100": (989, 67), "A100": (312, 19.5), "L40S": (362, 91.6),
    "L4": (121, 30.3), "A10": (125, 31.2), "4090": (165, 82.6), "3090": (71, 35.6),
}  # fmt: skip


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--size", choices=SIZES, default="base", help="size of the encoders; base is BERT-base with wav2vec2-base"
    )
    parser.add_argument("--batch", type=int, default=2, help="utterances")
    parser.add_argument(
        "--seconds", type=float, default=3.6, help="seconds of the longest utterance; the shortest has half"
    )
    parser.add_argument("--tokens", type=int, default=60, help="tokens of the longest text")
    parser.add_argument("--repeats", type=int, default=5, help="number of rounds; each runs every case once")
    parser.add_argument("--model", choices=VARIANTS, default="le_mer")
    parser.add_argument("--variants", nargs="+", metavar="VARIANT", help="variants of the model (default: all)")
    measuring.add_device_argument(parser)
    parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16")
    parser.add_argument(
        "--memory", action="store_true", help="also measure peak memory, each system in a process of its own"
    )
    parser.add_argument("--peak-tflops", type=float, help="peak of the card in TFLOP/s, if it is not known")
    measuring.add_output_argument(parser)
    settings = parser.parse_args(argv)
    known = list(VARIANTS[settings.model])
    settings.variants = settings.variants or known
    for variant in settings.variants:
        if variant not in known:
            parser.error(f"--variants: '{variant}' is not one of {', '.join(map(repr, known))} of {settings.model}")
    return settings


def encoder_configs(size: str) -> dict[str, Any]:
    width, layers, heads, conv_width = SIZES[size]
    shape = {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
    }
    return {
        "text_config": BertConfig(**shape),
        "speech_config": Wav2Vec2Config(**shape, conv_dim=[conv_width] * 7, layerdrop=0.0),
    }


def make_batch(settings: argparse.Namespace, shortest: float = 0.5) -> dict[str, Tensor]:
    """Utterances of evenly spread lengths, from a share of the longest to all of it, and a label each."""
    share = torch.linspace(1.0, shortest, settings.batch)
    samples, tokens = (share * settings.seconds * 16000).long(), (share * settings.tokens).long()
    audio_mask = torch.arange(int(samples.max())) < samples[:, None]
    token_mask = torch.arange(int(tokens.max())) < tokens[:, None]
    batch = {
        "input_ids": torch.randint(1000, 20000, token_mask.shape) * token_mask,
        "attention_mask": token_mask.long(),
        "token_type_ids": torch.zeros(token_mask.shape, dtype=torch.long),
        "input_values": torch.randn(audio_mask.shape) * audio_mask,
        "audio_attention_mask": audio_mask.long(),
        "labels": torch.arange(settings.batch) % 4,
    }
    return {name: tensor.to(settings.device) for name, tensor in batch.items()}


class Systems:
    """The encoders, and a model in all its variants around the same parameters; each with a step to be timed."""

    def __init__(self, settings: argparse.Namespace):
        torch.manual_seed(0)
        self.settings, self.batch = settings, make_batch(settings)
        self.configs = encoder_configs(settings.size)
        self.encoders = {
            "text": AutoModel.from_config(self.configs["text_config"], add_pooling_layer=False),
            "speech": AutoModel.from_config(self.configs["speech_config"]),
        }
        self.optimizers = {}
        for name, encoder in self.encoders.items():
            encoder.to(settings.device).train()
            self.optimizers[name] = torch.optim.AdamW(encoder.parameters(), lr=1e-6, fused=True)

    def encoder_step(self, name: str) -> Callable[[], None]:
        """The step of one encoder alone."""
        if name == "text":
            inputs = {key: self.batch[key] for key in ("input_ids", "attention_mask", "token_type_ids")}
        else:
            inputs = {"input_values": self.batch["input_values"], "attention_mask": self.batch["audio_attention_mask"]}
        encoder = self.encoders[name]
        return self._step(lambda: encoder(**inputs).last_hidden_state.float().mean(), [self.optimizers[name]])

    def model_step(self, variant: str) -> Callable[[], None]:
        """The step of LE-MER or MGCMA."""
        shallow = copy.deepcopy(self.configs)
        for config in shallow.values():
            config.num_hidden_layers = 1  # these encoders are made to be replaced
        model = self._make_model({**shallow, **VARIANTS[self.settings.model][variant]})
        shared = {id(parameter): parameter for encoder in self.encoders.values() for parameter in encoder.parameters()}
        model.text_encoder = copy.deepcopy(self.encoders["text"], dict(shared))  # new modules, the same parameters
        model.speech_encoder = copy.deepcopy(self.encoders["speech"], dict(shared))
        model.guard_padding()
        model.to(self.settings.device).train()
        own = [parameter for parameter in model.parameters() if id(parameter) not in shared]
        inputs = {**self.batch, "output_attentions": "output_attentions" in variant}
        optimizers = [*self.optimizers.values(), torch.optim.AdamW(own, lr=1e-4, fused=True)]
        return self._step(lambda: model(**inputs).loss, optimizers)

    def _make_model(self, fields: dict[str, Any]) -> Any:
        labels = {i: str(i) for i in range(4)}
        if self.settings.model == "le_mer":
            return LeMerForEmotionClassification(LeMerConfig(**fields, id2label=labels))
        heads = SIZES[self.settings.size][2]
        return MgcmaForEmotionClassification(MgcmaConfig(**fields, num_attention_heads=heads, id2label=labels))

    def _step(self, loss: Callable[[], Tensor], optimizers: list[torch.optim.Optimizer]) -> Callable[[], None]:
        return training_step(loss, optimizers, self.settings.device, self.settings.bf16)


def training_step(
    loss: Callable[[], Tensor], optimizers: list[torch.optim.Optimizer], device: str, bf16: bool
) -> Callable[[], None]:
    """Forward, in bfloat16 where wanted, backward and the optimizers' steps."""

    def step() -> None:
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bf16):
            value = loss()
        value.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()

    return step


def memory_of(settings: argparse.Namespace, system: str) -> float:
    """Peak MiB of two steps of one system; called in a process of its own."""
    systems = Systems(settings)
    if system in systems.encoders:
        other = "speech" if system == "text" else "text"
        del systems.encoders[other], systems.optimizers[other]
    step = systems.encoder_step(system) if system in systems.encoders else systems.model_step(system)
    step()
    step()
    return measuring.peak_mib(settings.device)


def peak_tflops(settings: argparse.Namespace) -> float | None:
    """The card's peak, None where it is not known."""
    if settings.peak_tflops or not settings.device.startswith("cuda"):
        return settings.peak_tflops
    name = torch.cuda.get_device_name(settings.device)
    known = next((peaks for card, peaks in PEAK_TFLOPS.items() if card in name), None)
    return known and known[0 if settings.bf16 else 1]


def flops_of(step: Callable[[], None]) -> int:
    """Floating-point operations of a step's matrix products and convolutions, forward and backward."""
    counter = FlopCounterMode(display=False)
    with counter:
        step()
    return counter.get_total_flops()


def main(argv: list[str] | None = None) -> dict[str, Any]:
    settings = parse(argv)
    systems = Systems(settings)
    steps = {name: systems.encoder_step(name) for name in systems.encoders}
    steps.update({name: systems.model_step(name) for name in settings.variants})
    seconds = measuring.interleaved(steps, settings.repeats, device=settings.device)
    encoders = [text + speech for text, speech in zip(seconds["text"], seconds["speech"], strict=True)]
    peak = peak_tflops(settings)
    rows = []
    for name in settings.variants:
        ratio = Ratio.of(seconds[name], encoders)
        median = sorted(seconds[name])[settings.repeats // 2]
        row: dict[str, Any] = {
            "variant": name,
            "ratio": str(ratio),
            "ratio_value": ratio.value,
            "seconds": f"{median:.3f}",
        }
        row["utterances"] = f"{settings.batch / median:.2f}"
        flops = flops_of(steps[name])
        row["tflops"] = f"{flops / median / 1e12:.3f}" + (
            f" ({flops / median / 1e12 / peak:.0%} of {peak:g})" if peak else ""
        )
        rows.append(row)
    memory = {}
    if settings.memory:
        memory = {name: measuring.in_fresh_process(memory_of, settings, name) for name in steps}
        for row in rows:
            encoders_alone = f"{memory['text']:.0f} and {memory['speech']:.0f}"
            row["memory"] = f"{memory[row['variant']]:.0f} (encoders alone {encoders_alone})"
    result = {
        "settings": vars(settings),
        "hardware": measuring.hardware(settings.device),
        "seconds": seconds,
        "rows": rows,
    }
    result.update(peak_mib=memory, ratio=rows[0]["ratio_value"], flops=flops)
    precision = ", bf16" if settings.bf16 else ""
    title = f"{settings.model}, {settings.size}, {settings.batch} x {settings.seconds:g} s{precision}"
    columns = {
        "variant": title,
        "ratio": "step over encoders alone",
        "seconds": "s per step",
        "utterances": "utterances/s",
    }
    columns.update(tflops="TFLOP/s", **({"memory": "peak MiB"} if settings.memory else {}))
    measuring.report(result, columns, rows, settings.json)
    return result


if __name__ == "__main__":
    main()
