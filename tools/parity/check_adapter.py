"""Scores an adapter that `cadre train` wrote with transformers and peft, and compares with what Cadre found.

`python tools/parity/check_adapter.py BASE EXPERT VALIDATION.jsonl [CHOICE CHOICE ...]`: EXPERT is the recipe's output (an adapter in PEFT's layout or a
whole model), VALIDATION the file that the recipe names. Ends with 1 where loss or accuracy differ.
"""

import json
import sys
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

TOLERANCE = 1e-4


def open_model(base, expert):
    if (expert / "adapter_config.json").exists():
        return PeftModel.from_pretrained(AutoModelForSeq2SeqLM.from_pretrained(base), expert).eval()
    return AutoModelForSeq2SeqLM.from_pretrained(expert).eval()


def log_probabilities(model, tokenizer, text, answer):
    """Those of the answer's tokens, end token included."""
    inputs, labels = tokenizer(text, return_tensors="pt"), tokenizer(answer, return_tensors="pt").input_ids
    logits = model(**inputs, labels=labels).logits
    return logits.log_softmax(-1).gather(-1, labels[..., None])[0, :, 0]


@torch.no_grad()
def main(base, expert, rows, *choices):
    expert = Path(expert)
    model, tokenizer = open_model(base, expert), AutoTokenizer.from_pretrained(base)
    total, tokens, correct = 0.0, 0, []
    lines = [json.loads(line) for line in Path(rows).read_text().splitlines() if line.strip()]
    for row in lines:
        scores = {answer: log_probabilities(model, tokenizer, row["input"], answer) for answer in [row["target"], *choices]}
        total += scores[row["target"]].sum().item()
        tokens += len(scores[row["target"]])
        if choices:
            correct.append(max(choices, key=lambda answer: scores[answer].sum().item()) == row["target"])
    found = {"loss": -total / tokens, **({"accuracy": sum(correct) / len(correct)} if choices else {})}
    metrics = json.loads((expert / "expert.json").read_text())["metrics"]
    expected = {key: metrics[key] for key in ("loss", "accuracy") if key in metrics}
    print(f"peft {found}\ncadre {expected}")
    if found.keys() != expected.keys() or any(abs(found[key] - expected[key]) > TOLERANCE for key in found):
        sys.exit("they differ")


if __name__ == "__main__":
    main(*sys.argv[1:])
