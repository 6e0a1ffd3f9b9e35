"""Writes test/fixtures/bert: a small BERT with random weights, a WordPiece tokenizer trained on texts of our own, and embeddings of a few texts
pooled as sentence-transformers pools them (mean over the attention mask, then length 1). `--check` demands the same bytes again."""

import json
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, BertTokenizerFast

FOLDER = Path(__file__).parents[2] / "test/fixtures/bert"
MAX_LENGTH = 24

CORPUS = [
    "Is the sentiment of the review positive or negative?",
    "Sort the news article by topic: world, sports, business or technology.",
    "Does the premise entail the hypothesis? Answer yes, no or maybe.",
    "Add the two numbers, then write the sum in words.",
    "The weather was lovely and the food was cold; we will not come back.",
    "Answer Choices: yes, no, Instance: the cat sat on the mat.",
]
# An empty text, case and accents, unknown letters, a word longer than its pieces, and one that is cut.
TEXTS = [
    "The food was lovely.",
    "",
    "ÜBERRASCHT von Café and naïve sorting!",
    "東京 weather — hypothesis??",
    "entailment of technologynews",
    "Answer Choices: positive, negative, Instance: " + "the review of the article was cold and lovely " * 4,
]


def make_tokenizer():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=160, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    ids = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ids)
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


def make_model(vocabulary):
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=MAX_LENGTH,
        layer_norm_eps=1e-12,
    )
    model = BertModel(config, add_pooling_layer=True).eval()
    for name, parameter in model.named_parameters():
        # Biases and norms start at 0 and 1, which would hide mistakes.
        spread = 0.4 if parameter.dim() > 1 else 0.2
        parameter.data = torch.randn(parameter.shape) * spread + (1 if name.endswith("LayerNorm.weight") else 0)
    return config, model


def embed(model, tokenizer):
    wrapped = BertTokenizerFast(tokenizer_object=tokenizer)
    batch = wrapped(TEXTS, padding=True, truncation=True, max_length=MAX_LENGTH, return_tensors="pt")
    with torch.no_grad():
        states = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1).float()
    pooled = (states * mask).sum(1) / mask.sum(1)
    ids = [row[row_mask == 1].tolist() for row, row_mask in zip(batch["input_ids"], batch["attention_mask"])]
    return ids, pooled, torch.nn.functional.normalize(pooled, dim=1)


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    trained = folder / "tokenizer.json"
    # Training is not the same in every version of the library: what is committed is used again.
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json")) if (FOLDER / "tokenizer.json").exists() else make_tokenizer()
    tokenizer.save(str(trained))
    config, model = make_model(tokenizer.get_vocab_size())
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    # As published files have it.
    tensors["embeddings.position_ids"] = torch.arange(MAX_LENGTH).unsqueeze(0)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    fields = {name: value for name, value in config.to_dict().items() if name != "transformers_version"}
    (folder / "config.json").write_text(json.dumps({**fields, "architectures": ["BertModel"]}, indent=2) + "\n")
    (folder / "sentence_bert_config.json").write_text(
        json.dumps({"max_seq_length": MAX_LENGTH, "do_lower_case": False}, indent=2) + "\n"
    )
    (folder / "1_Pooling").mkdir(exist_ok=True)
    pooling = {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling/config.json").write_text(json.dumps(pooling, indent=2) + "\n")
    ids, pooled, embeddings = embed(model, tokenizer)
    (folder / "case.json").write_text(json.dumps({"texts": TEXTS, "ids": ids}, indent=2, ensure_ascii=False) + "\n")
    save_file({"pooled": pooled, "embeddings": embeddings}, folder / "case.safetensors")


def main():
    if "--check" not in sys.argv:
        write(FOLDER)
        return
    with tempfile.TemporaryDirectory() as again:
        write(Path(again))
        for path in sorted(FOLDER.rglob("*.*")):
            same = path.read_bytes() == (Path(again) / path.relative_to(FOLDER)).read_bytes()
            print(path.name, "same" if same else "DIFFERENT")
            if not same:
                sys.exit(1)


if __name__ == "__main__":
    main()
