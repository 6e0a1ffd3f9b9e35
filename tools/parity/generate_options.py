"""
Makes test/fixtures/generation/{beams.json, options.json, options.safetensors}: what transformers' `generate` answers with the tiny models of
test/fixtures/t5 by beam search, greedily with a repetition penalty, and the distributions from which it samples.

    python tools/parity/generate_options.py            writes the fixtures
    python tools/parity/generate_options.py --check    makes them again and demands the same ids (and numbers within 1e-5)
"""

import os

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")

import argparse
import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import torch
from safetensors.torch import load_file

from fixture import Float64, generator, new_model, write_json, write_tensors
from generate_greedy import EMBEDDING_SCALES, MODEL_SEEDS, inputs

FOLDER = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "generation"
# Beams, most new tokens, repetition penalty.
BEAM_CASES = [(2, 5, 1.0), (2, 16, 1.5), (3, 24, 1.0), (4, 1, 1.0), (5, 16, 1.0), (5, 9, 1.3), (8, 20, 1.0)]
GREEDY_PENALTIES = [0.7, 1.2, 2.0]
GREEDY_TOKENS = 24
KEPT = 4
# Sampling; None is what `generate` leaves out.
SAMPLING_CASES = [
    dict(temperature=1.0), dict(temperature=0.5), dict(temperature=1.7), dict(temperature=1.0, top_k=1), dict(temperature=0.8, top_k=5),
    dict(temperature=1.3, top_k=200), dict(temperature=1.0, top_p=0.9), dict(temperature=1.5, top_p=0.97), dict(temperature=0.6, top_p=0.2),
    dict(temperature=1.0, min_p=0.05), dict(temperature=1.2, min_p=1.0), dict(temperature=1.0, repetition_penalty=1.4),
    dict(temperature=2.0, repetition_penalty=0.6, top_k=12), dict(temperature=1.6, top_k=20, top_p=0.8),
    dict(temperature=1.4, top_k=30, top_p=0.95, min_p=0.1, repetition_penalty=1.3), dict(temperature=1.1, top_p=0.9, min_p=0.3),
]  # fmt: skip
SAMPLING_TOKENS = 4
SAMPLING_ROWS = 3


def scaled_model(name):
    model = new_model(name, MODEL_SEEDS[name])
    with torch.no_grad():
        model.shared.weight.mul_(EMBEDDING_SCALES[name])
    return model


def generate(model, rows, **options):
    """Without the cache where the decoder is deeper than the encoder: see generate_greedy.py."""
    longest = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    with torch.no_grad():
        return model.generate(
            input_ids=ids, attention_mask=mask, return_dict_in_generate=True, output_scores=True, output_logits=True,
            use_cache=model.config.num_decoder_layers <= model.config.num_layers, **options,
        )  # fmt: skip


def ended(sequence, end, pad=0):
    """Without the decoder's start token and the padding behind the end."""
    tokens = sequence[1:].tolist()
    return tokens[: tokens.index(end) + 1] if end in tokens else tokens


def beams_of(model, row, end, case):
    beams, new_tokens, penalty = case
    found = generate(
        model, [row], num_beams=beams, num_return_sequences=beams, do_sample=False, max_new_tokens=new_tokens, eos_token_id=end,
        repetition_penalty=penalty,
    )  # fmt: skip
    return [ended(sequence, end) for sequence in found.sequences], found.sequences_scores.tolist()


def beam_cases(name, end):
    model = scaled_model(name)
    rows = inputs(model.config)[:12]
    made = []
    with Float64(model) as exact:
        for case in BEAM_CASES:
            answers = []
            for row in rows:
                ids, scores = beams_of(model, row, end, case)
                # Nearly equal scores would be a toss of rounding: float64 has to find the same.
                if beams_of(exact, row, end, case)[0] == ids and len(answers) < KEPT:
                    answers.append({"input": row.tolist(), "ids": ids, "scores": [round(score, 7) for score in scores]})
            assert len(answers) == KEPT, (name, case, len(answers))
            lengths = sorted({len(ids) for answer in answers for ids in answer["ids"]})
            print(name, case, "answer lengths", lengths)
            made.append({"beams": case[0], "maxNewTokens": case[1], "repetitionPenalty": case[2], "rows": answers})
    return made


def penalty_cases(name, end):
    model = scaled_model(name)
    rows = inputs(model.config)[:24]
    made = []
    with Float64(model) as exact:
        for penalty in GREEDY_PENALTIES:
            options = dict(num_beams=1, do_sample=False, max_new_tokens=GREEDY_TOKENS, eos_token_id=end, repetition_penalty=penalty)
            kept = []
            for row in rows:
                ids = ended(generate(model, [row], **options).sequences[0], end)
                if ended(generate(exact, [row], **options).sequences[0], end) == ids and len(kept) < KEPT:
                    kept.append({"input": row.tolist(), "ids": ids})
            assert len(kept) == KEPT, (name, penalty)
            made.append({"repetitionPenalty": penalty, "maxNewTokens": GREEDY_TOKENS, "rows": kept})
    return made


def sampling_cases(name):
    """Raw logits and the distribution that `generate` itself samples from, at every step: its own order of its own processors."""
    model = scaled_model(name)
    rows = inputs(model.config)[3 : 3 + SAMPLING_ROWS]
    torch.manual_seed(5)
    tensors, cases = {}, []
    for index, options in enumerate(SAMPLING_CASES):
        # The default configuration has a top-k of 50.
        found = generate(model, rows, do_sample=True, num_beams=1, max_new_tokens=SAMPLING_TOKENS, eos_token_id=-1, **{"top_k": 0, **options})
        steps = len(found.scores)
        tensors[f"{index}.logits"] = torch.cat(found.logits)
        tensors[f"{index}.probabilities"] = torch.softmax(torch.cat(found.scores).double(), -1)
        # What has been read at a step, padded by repeating the start token.
        history = torch.full((steps, len(rows), steps), model.config.decoder_start_token_id)
        for step in range(steps):
            history[step, :, : step + 1] = found.sequences[:, : step + 1]
        tensors[f"{index}.history"] = history.reshape(steps * len(rows), steps)
        cases.append(options)
    return tensors, cases


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    ends = {name: case["endId"] for name, case in json.loads((FOLDER / "greedy.json").read_text())["models"].items()}
    beams = {
        "about": "transformers generate, beam search (and greedily with a repetition penalty), each row alone; rows that float64 answers otherwise left out",
        "models": {
            name: {"embeddingScale": EMBEDDING_SCALES[name], "endId": end, "beams": beam_cases(name, end), "greedy": penalty_cases(name, end)}
            for name, end in ends.items()
        },
    }
    tensors, cases = sampling_cases("v1_1")
    if not check:
        write_json(FOLDER / "beams.json", beams)
        write_json(FOLDER / "options.json", {"about": "transformers generate, do_sample: options of the cases of options.safetensors", "cases": cases})
        write_tensors(FOLDER / "options.safetensors", tensors)
        return
    stored = json.loads((FOLDER / "beams.json").read_text())
    for name, model in beams["models"].items():
        for kind in ("beams", "greedy"):
            for before, now in zip(stored["models"][name][kind], model[kind], strict=True):
                for one, other in zip(before["rows"], now["rows"], strict=True):
                    assert one["input"] == other["input"] and one["ids"] == other["ids"], (name, kind)
                    assert all(abs(a - b) < 1e-5 for a, b in zip(one.get("scores", []), other.get("scores", []), strict=True)), (name, kind)
    for key, value in load_file(FOLDER / "options.safetensors").items():
        assert torch.allclose(value.double(), tensors[key].double(), atol=1e-5), key


if __name__ == "__main__":
    main()
