"""Makes test/fixtures/peft: adapters that Python's peft saved on the tiny T5 1.1, for the import.

    python tools/parity/peft_import.py            writes the fixtures
    python tools/parity/peft_import.py --check    makes them again elsewhere and demands the same bytes

`<case>/` holds adapter_config.json and adapter_model.safetensors as peft saves them, and logits.safetensors: what the adapted model says about the
batch of test/fixtures/t5/v1_1/case.safetensors. `refused/<case>/` are adapters that Cadre does not take, without logits.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")

import argparse
import copy
import filecmp
import json
import sys
import tempfile
import warnings
from pathlib import Path

sys.dont_write_bytecode = True
warnings.filterwarnings("ignore")

import torch
from peft import IA3Config, LoraConfig, PrefixTuningConfig, get_peft_model
from peft.utils import get_peft_model_state_dict

from fixture import example_batch, forward, generator, new_model, write_json, write_tensors

FOLDER = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "peft"
# Those of t5_fixtures.py, whose import would need jax.
SEEDS = {"v1_1": 11, "batch": 1}
TASK = {"task_type": "SEQ_2_SEQ_LM"}

CASES = {
    "lora_rank4": LoraConfig(r=4, lora_alpha=4, target_modules=["q", "v"], **TASK),
    "lora_rank8_alpha": LoraConfig(r=8, lora_alpha=12, target_modules=["wo", "k", "wi_1"], **TASK),
    "lora_rslora": LoraConfig(r=8, lora_alpha=5, target_modules=["o"], use_rslora=True, **TASK),
    # q of the encoder's second block only; v nowhere in the decoder.
    "lora_missing_module": LoraConfig(r=4, lora_alpha=8, target_modules=["q", "v"], exclude_modules=r"decoder.*\.v|encoder\.block\.0.*\.q", **TASK),
    "lora_patterns": LoraConfig(
        r=4, lora_alpha=12, target_modules=["q", "v", "wo"],
        rank_pattern={"v": 8, "decoder.block.1.layer.0.SelfAttention.q": 2}, alpha_pattern={"v": 5, "wo": 7}, **TASK,
    ),  # fmt: skip
    "lora_patterns_rslora": LoraConfig(r=4, lora_alpha=12, target_modules=["q", "v"], rank_pattern={"v": 3}, use_rslora=True, **TASK),
    "lora_float16": LoraConfig(r=4, lora_alpha=8, target_modules=["q"], **TASK),
    "ia3": IA3Config(target_modules=["q", "wo", "k"], feedforward_modules=["wo", "q"], **TASK),
    "ia3_missing_module": IA3Config(target_modules=["v", "wo"], feedforward_modules=["wo"], exclude_modules=r"encoder.*", **TASK),
    # Not "shared": peft would wrap a module that the encoder does not look at.
    "lora_embedding": LoraConfig(r=4, lora_alpha=6, target_modules=["encoder.embed_tokens", "v"], **TASK),
}
REFUSED = {
    "modules_to_save": LoraConfig(r=2, target_modules=["q"], modules_to_save=["lm_head"], **TASK),
    "ia3_modules_to_save": IA3Config(target_modules=["k"], feedforward_modules=[], modules_to_save=["lm_head"], **TASK),
    "dora": LoraConfig(r=2, target_modules=["q"], use_dora=True, **TASK),
    "lora_bias": LoraConfig(r=2, target_modules=["q"], lora_bias=True, **TASK),
    "embedding": LoraConfig(r=2, target_modules=["q", "shared"], **TASK),
    "pissa": LoraConfig(r=2, target_modules=["q"], init_lora_weights="pissa", **TASK),
    "trainable_tokens": LoraConfig(r=2, target_modules=["q"], trainable_token_indices={"shared": [3]}, **TASK),
    "pattern_expression": LoraConfig(r=2, target_modules=["q"], alpha_pattern={r"encoder\..*q": 3}, **TASK),
    "prefix": PrefixTuningConfig(num_virtual_tokens=2, **TASK),
}


def adapted(base, config, seed):
    torch.manual_seed(seed)  # what peft draws itself
    model = get_peft_model(copy.deepcopy(base), copy.deepcopy(config)).eval()
    random = generator(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and ("lora_" in name or "ia3_" in name):
                noise = torch.randn(parameter.shape, generator=random)
                parameter.copy_(1 + 0.4 * noise if "ia3" in name else 0.2 * noise)
    return model


def write_adapter(folder, model):
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        model.save_pretrained(temporary)
        written = json.loads((Path(temporary) / "adapter_config.json").read_text())
    # Sets, which Python orders anew every time.
    for modules in ("target_modules", "feedforward_modules"):
        if isinstance(written.get(modules), list):
            written[modules] = sorted(written[modules])
    write_json(folder / "adapter_config.json", written)
    write_tensors(folder / "adapter_model.safetensors", get_peft_model_state_dict(model))


def make(root):
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    base = new_model("v1_1", SEEDS["v1_1"])
    batch = example_batch(base.config, SEEDS["batch"])
    for seed, (name, config) in enumerate(CASES.items()):
        model = adapted(base, config, 100 + seed)
        if name == "lora_float16":
            # Saved in half precision: the numbers that the adapter computes with are the rounded ones.
            for parameter in (p for p in model.parameters() if p.requires_grad):
                parameter.data = parameter.data.half().float()
        write_adapter(root / name, model)
        if name == "lora_float16":
            from safetensors.torch import save_file

            save_file({key: value.half() for key, value in get_peft_model_state_dict(model).items()}, root / name / "adapter_model.safetensors")
        with torch.no_grad():
            write_tensors(root / name / "logits.safetensors", {"logits": forward(model.get_base_model(), batch).logits})
    for seed, (name, config) in enumerate(REFUSED.items()):
        write_adapter(root / "refused" / name, adapted(base, config, 200 + seed))


def check():
    """Names of files that differ from a fresh run."""
    with tempfile.TemporaryDirectory() as temporary:
        make(Path(temporary))
        files = lambda root: {str(path.relative_to(root)) for path in Path(root).rglob("*") if path.is_file()}
        same, other, missing = filecmp.cmpfiles(temporary, FOLDER, files(temporary) | files(FOLDER), shallow=False)
        return sorted(other + missing), len(same)


def main():
    parser = argparse.ArgumentParser(description="Makes test/fixtures/peft.")
    parser.add_argument("--check", action="store_true", help="compare a fresh run with the committed files, byte for byte")
    if parser.parse_args().check:
        different, same = check()
        print("\n".join(f"differs: {name}" for name in different) or f"{same} files, all byte-identical")
        sys.exit(1 if different else 0)
    make(FOLDER)


if __name__ == "__main__":
    main()
