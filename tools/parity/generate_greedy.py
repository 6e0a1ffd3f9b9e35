"""Makes test/fixtures/generation/greedy.json: what transformers' `generate` answers greedily with the tiny models of test/fixtures/t5.

    python tools/parity/generate_greedy.py            writes the fixture
    python tools/parity/generate_greedy.py --check    makes it again and demands the same ids (and log-probabilities within 1e-5)
"""

import os

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")

import argparse
import json
import sys
from collections import Counter
from itertools import zip_longest
from pathlib import Path

sys.dont_write_bytecode = True

import torch
from safetensors.torch import load_file

from fixture import END, generator, new_model, write_json

ROOT = Path(__file__).resolve().parents[2] / "test" / "fixtures"
MODEL_SEEDS = {"v1_1": 11, "v1_0": 10}
# Smaller embeddings: else a tied model repeats the token that it has just read. A power of two, so that the tests scale to the same bits.
EMBEDDING_SCALES = {"v1_1": 1.0, "v1_0": 0.25}
INPUT_SEED = 23
INPUT_LENGTHS = (1, 2, 5, 9, 16, 17, 24, 31, 33, 40, 12, 7) * 8
# Of answers that end by themselves and of those that do not, each.
KEPT = 6
NEW_TOKENS = 40
# Between the best token and the second best: far above what rounding moves a logit.
SMALLEST_MARGIN = 1e-3


def inputs(config):
    random = generator(INPUT_SEED)
    rows = []
    for length in INPUT_LENGTHS:
        row = torch.randint(2, config.vocab_size, (length,), generator=random)
        row[-1] = END
        rows.append(row)
    return rows


def answers(model, rows, end):
    """
    Ids (the end token included) and log-probabilities of every row, decoded as one padded batch. Without the cache where the decoder is
    deeper than the encoder: transformers 5.23 makes the cache with as many layers as the encoder has, and fails.
    """
    longest = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    with torch.no_grad():
        result = model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=NEW_TOKENS, num_beams=1, do_sample=False, eos_token_id=end,
            output_logits=True, return_dict_in_generate=True, use_cache=model.config.num_decoder_layers <= model.config.num_layers,
        )  # fmt: skip
    found = []
    for index in range(len(rows)):
        # The first id is the decoder's start token.
        tokens = result.sequences[index, 1:].tolist()
        tokens = tokens[: tokens.index(end) + 1] if end in tokens else tokens
        logits = torch.stack([step[index] for step in result.logits[: len(tokens)]]).double()
        best = logits.topk(2, -1).values
        found.append({
            "ids": tokens,
            "logProbabilities": torch.log_softmax(logits, -1).gather(-1, torch.tensor(tokens).unsqueeze(-1)).squeeze(-1).tolist(),
            "margin": (best[:, 0] - best[:, 1]).min().item(),
        })  # fmt: skip
    return found


def end_token(unended):
    """Random models hardly ever say token 1: the token that comes up within most answers, not at once, ends them instead."""
    within = Counter(token for found in unended for token in set(found["ids"][3:]) - set(found["ids"][:3]))
    return within.most_common(1)[0][0]


def case(name):
    model = new_model(name, MODEL_SEEDS[name])
    stored = load_file(ROOT / "t5" / name / "model.safetensors")
    assert all(torch.equal(model.state_dict()[key], value) for key, value in stored.items()), f"{name}: not the stored weights"
    with torch.no_grad():
        model.shared.weight.mul_(EMBEDDING_SCALES[name])
    rows = inputs(model.config)
    end = end_token(answers(model, rows, -1))
    together = answers(model, rows, end)
    for row, found in list(zip(rows, together))[:12]:
        assert answers(model, [row], end)[0]["ids"] == found["ids"], f"{name}: padding changes the answer"
    clear = [(row.tolist(), found) for row, found in zip(rows, together) if found["margin"] > SMALLEST_MARGIN]
    ended = [one for one in clear if one[1]["ids"][-1] == end][:KEPT]
    cut = [one for one in clear if one[1]["ids"][-1] != end][:KEPT]
    print(name, "input and answer lengths", [(len(row), len(found["ids"])) for row, found in ended + cut])
    assert len(ended) >= 3 and len(cut) >= 3, f"{name}: {len(ended)} answers end, {len(cut)} do not"
    kept = [one for pair in zip_longest(ended, cut) for one in pair if one is not None]
    examples = [{"input": row, "ids": found["ids"], "logProbabilities": [round(x, 7) for x in found["logProbabilities"]]} for row, found in kept]
    return {"embeddingScale": EMBEDDING_SCALES[name], "endId": end, "rows": examples}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    made = {"about": "transformers generate, greedy, all rows in one padded batch; rows with nearly equal tokens left out", "newTokens": NEW_TOKENS, "models": {name: case(name) for name in MODEL_SEEDS}}
    path = ROOT / "generation" / "greedy.json"
    if not check:
        path.parent.mkdir(exist_ok=True)
        write_json(path, made)
        return
    stored = json.loads(path.read_text())
    for name, rows in made["models"].items():
        assert stored["models"][name]["endId"] == rows["endId"], name
        for before, now in zip(stored["models"][name]["rows"], rows["rows"], strict=True):
            assert before["input"] == now["input"] and before["ids"] == now["ids"], name
            assert all(abs(a - b) < 1e-5 for a, b in zip(before["logProbabilities"], now["logProbabilities"], strict=True)), name


if __name__ == "__main__":
    main()
