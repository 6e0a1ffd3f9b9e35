"""Exports a T5 in Hugging Face's layout to ONNX at f32, in the layout that @huggingface/transformers reads; `npm run bench -- generate` calls it.

    python3 -m venv /tmp/export && /tmp/export/bin/pip install torch optimum-onnx "transformers<4.58" onnx onnxruntime
    /tmp/export/bin/python tools/parity/export_onnx.py BASE_FOLDER OUTPUT_FOLDER

A venv of its own: optimum-onnx 0.1 does not import beside the transformers 5 of the fixtures.

Writes config.json, the tokenizer's files and onnx/{encoder_model,decoder_model_merged}.onnx. Nothing is fetched.
"""

import os

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")

import argparse
import shutil
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from optimum.exporters.onnx import main_export

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
MODEL_FILES = ("encoder_model.onnx", "decoder_model_merged.onnx", "encoder_model.onnx_data", "decoder_model_merged.onnx_data")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("base", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    made = options.output / "made"
    main_export(
        str(options.base), output=made, task="text2text-generation-with-past", device="cpu", dtype="fp32",
        do_validation=False, local_files_only=True,
    )  # fmt: skip
    folder = options.output / "onnx"
    folder.mkdir(parents=True, exist_ok=True)
    for name in MODEL_FILES:
        if (made / name).exists():
            shutil.move(made / name, folder / name)
    for name in ("config.json", "generation_config.json"):
        if (made / name).exists():
            shutil.move(made / name, options.output / name)
    for name in TOKENIZER_FILES:
        if (options.base / name).exists():
            shutil.copy(options.base / name, options.output / name)
    shutil.rmtree(made)


main()
