"""Adapters of a toy model and what PEFT's add_weighted_adapter makes of them, for src/merging/peft.test.ts.

    python tools/parity/merging.py test/fixtures/merging
"""

import sys
from pathlib import Path

import torch
from peft import IA3Config, LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file

PREFIX = "base_model.model."


class Toy(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.q = torch.nn.Linear(6, 5, bias=False)
        self.wo = torch.nn.Linear(4, 6, bias=False)

    def forward(self, x):
        return self.q(self.wo(x))


def collect(tensors, model, adapter, name):
    for key, value in get_peft_model_state_dict(model, adapter_name=adapter).items():
        tensors[f"{name}/{key.removeprefix(PREFIX)}"] = value.clone().contiguous()


def randomize(model):
    for key, value in model.named_parameters():
        if "lora_" in key or "ia3_" in key:
            torch.nn.init.normal_(value)


def main(folder):
    torch.manual_seed(7)
    tensors = {}
    configs = {
        "one": LoraConfig(r=2, lora_alpha=3, target_modules=["q", "wo"]),
        "two": LoraConfig(r=2, lora_alpha=4, target_modules=["q", "wo"], use_rslora=True),
        "wide": LoraConfig(r=3, lora_alpha=6, target_modules=["q", "wo"]),
    }
    model = get_peft_model(Toy(), configs["one"], adapter_name="one")
    for name in ["two", "wide"]:
        model.add_adapter(name, configs[name])
    randomize(model)
    model.add_weighted_adapter(["one", "two"], [0.75, -0.5], "linear", combination_type="linear")
    model.add_weighted_adapter(["one", "two", "wide"], [0.75, -0.5, 0.25], "cat", combination_type="cat")
    for name in [*configs, "linear", "cat"]:
        collect(tensors, model, name, f"lora/{name}")

    config = IA3Config(target_modules=["q", "wo"], feedforward_modules=["wo"])
    model = get_peft_model(Toy(), config, adapter_name="one")
    model.add_adapter("two", config)
    randomize(model)
    model.add_weighted_adapter(["one", "two"], [0.25, 0.75], "mean")
    for name in ["one", "two", "mean"]:
        collect(tensors, model, name, f"ia3/{name}")

    Path(folder).mkdir(parents=True, exist_ok=True)
    save_file(tensors, Path(folder) / "peft.safetensors")
    for key, value in tensors.items():
        print(key, list(value.shape))


main(sys.argv[1])
