"""Writing fixtures, and what all of them share: seeded tensors, the tiny models, one reference evaluation in float32 and float64."""

import copy
import json
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import T5Config, T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5LayerNorm

IGNORED = -100
END = 1

CONFIGURATIONS = {
    # T5 1.1: gated gelu, untied head, an inner width (3 * 5) that is not d_model, more decoder than encoder layers.
    "v1_1": dict(
        vocab_size=64, d_model=16, d_kv=5, num_heads=3, d_ff=20, num_layers=2, num_decoder_layers=3,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False,
        relative_attention_num_buckets=32, relative_attention_max_distance=128,
    ),
    # T5 1.0: relu, tied head over scaled decoder output; few buckets, so that 40 tokens reach the last one.
    "v1_0": dict(
        vocab_size=50, d_model=12, d_kv=4, num_heads=3, d_ff=24, num_layers=2,
        feed_forward_proj="relu", tie_word_embeddings=True,
        relative_attention_num_buckets=8, relative_attention_max_distance=20,
    ),
}

# Standard deviations by the last part of a parameter's name: attention scores and logits spread over a few units, so that every part matters.
SPREAD = {"shared": 1.5, "lm_head": 0.5, "q": 0.2, "k": 0.2, "v": 0.25, "o": 0.25, "relative_attention_bias": 1.0, "wi": 0.3, "wi_0": 0.3, "wi_1": 0.3, "wo": 0.3}


def generator(seed):
    return torch.Generator().manual_seed(seed)


def randomise_(parameters, spread_of, random):
    """Fills (name, parameter) pairs with normal values; layer norms lie around one."""
    with torch.no_grad():
        for name, parameter in parameters:
            noise = torch.randn(parameter.shape, generator=random)
            parameter.copy_(1 + 0.2 * noise if name.endswith("layer_norm.weight") else spread_of(name) * noise)


def new_model(name, seed):
    options = CONFIGURATIONS[name]
    config = T5Config(**options, dropout_rate=0.0, decoder_start_token_id=0)
    config._attn_implementation = "eager"
    model = T5ForConditionalGeneration(config)
    if not options["tie_word_embeddings"]:
        untie_head_(model)
    randomise_(model.named_parameters(), lambda parameter: SPREAD[parameter.split(".")[-2]], generator(seed))
    return model.eval()


def untie_head_(model):
    """transformers 5 ties the head of every new T5 whatever the configuration says; only a checkpoint with both tensors escapes."""
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    model.all_tied_weights_keys.pop("lm_head.weight", None)


def save_model(model, folder):
    """`model.safetensors` and the configuration as it is on model hubs, beside what transformers 5 writes (`config.transformers5.json`)."""
    with tempfile.TemporaryDirectory() as temporary:
        model.save_pretrained(temporary)
        (folder / "model.safetensors").write_bytes((Path(temporary) / "model.safetensors").read_bytes())
        written = json.loads((Path(temporary) / "config.json").read_text())
    write_json(folder / "config.transformers5.json", written)
    hub = {key: value for key, value in written.items() if key not in ("scale_decoder_outputs", "transformers_version")}
    hub["tie_word_embeddings"] = model.config.scale_decoder_outputs
    write_json(folder / "config.json", hub)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_tensors(path, tensors):
    """Integers as int32, everything else as float32."""
    save_file(
        {name: (tensor.detach().to(torch.float32 if tensor.is_floating_point() else torch.int32)).contiguous().clone() for name, tensor in tensors.items()},
        path,
    )


def example_batch(config, seed, encoder_lengths=(40, 27, 9), decoder_lengths=(12, 7, 3), hole=(0, 4)):
    """Ragged rows padded with 0; labels end with the end token, padded with -100, and one label amid a row is ignored too."""
    random = generator(seed)
    # Half of the vocabulary only: tokens repeat within a row.
    draw = lambda length: torch.randint(2, config.vocab_size // 2, (length,), generator=random)
    input_ids = torch.zeros(len(encoder_lengths), max(encoder_lengths), dtype=torch.long)
    attention_mask = torch.zeros_like(input_ids)
    labels = torch.full((len(decoder_lengths), max(decoder_lengths)), IGNORED)
    for row, (encoder_length, decoder_length) in enumerate(zip(encoder_lengths, decoder_lengths)):
        input_ids[row, :encoder_length] = draw(encoder_length)
        input_ids[row, encoder_length - 1] = END
        attention_mask[row, :encoder_length] = 1
        labels[row, :decoder_length] = draw(decoder_length)
        labels[row, decoder_length - 1] = END
    labels[hole] = IGNORED
    return {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}


def forward(model, batch):
    return model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=batch["labels"], use_cache=False)


def token_log_probabilities(logits, labels):
    """Log-probability of every label, 0 where it is ignored."""
    kept = labels != IGNORED
    chosen = torch.log_softmax(logits, -1).gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return torch.where(kept, chosen, torch.zeros_like(chosen))


def reference(model, batch):
    """Loss, logits, label log-probabilities and the gradients of the mean loss of whatever is trainable."""
    model.zero_grad(set_to_none=True)
    output = forward(model, batch)
    output.loss.backward()
    return {
        "loss": output.loss.detach().reshape(1),
        "logits": output.logits.detach(),
        "token_logprobs": token_log_probabilities(output.logits.detach(), batch["labels"]),
        "encoder_last_hidden_state": output.encoder_last_hidden_state.detach(),
        **gradients(model),
    }


def gradients(model):
    return {f"grad.{name}": parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.requires_grad}


class Float64:
    """`with Float64(model) as exact:` a float64 copy of a model; transformers' layer norm would compute its variance in float32."""

    def __init__(self, model):
        self.model = model

    def __enter__(self):
        self.original = T5LayerNorm.forward
        T5LayerNorm.forward = lambda norm, x: norm.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon))
        return copy.deepcopy(self.model).double()

    def __exit__(self, *_):
        T5LayerNorm.forward = self.original


def differences(values, exact):
    """The largest difference float32 against float64, absolute and relative to the tensor's largest value, over groups of tensors."""
    result = {}
    for name, value in values.items():
        group = "gradients" if name.startswith("grad.") else name
        absolute = (value.double() - exact[name]).abs().max().item()
        relative = absolute / max(exact[name].abs().max().item(), 1e-30)
        previous = result.get(group, {"absolute": 0.0, "relative": 0.0})
        result[group] = {"absolute": max(previous["absolute"], absolute), "relative": max(previous["relative"], relative)}
    return result
