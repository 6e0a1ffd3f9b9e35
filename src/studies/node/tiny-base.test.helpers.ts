import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { initialTensors } from "../../models/initialize.js";
import { type ModelFolder, openModelFolder, saveModelFolder } from "../../models/node/model-folder.js";
import { parseT5Config } from "../../models/t5/config.js";
import { createT5 } from "../../models/t5/t5.js";
import { createByteTokenizer } from "../../tokenizers/byte-tokenizer.js";
import type { Tokenizer } from "../../tokenizers/tokenizer.js";

/** A T5 of random numbers that a test can train, its byte tokenizer, and the folder that it is opened from. */
export interface TinyBase extends AsyncDisposable {
  readonly base: ModelFolder;
  readonly tokenizer: Tokenizer;
  readonly folder: string;
}

/** The weights are a function of the seed. */
export async function openTinyBase(seed = 1): Promise<TinyBase> {
  const folder = await mkdtemp(join(tmpdir(), "cadre-tiny-base-"));
  const tokenizer = await createByteTokenizer();
  const config = parseT5Config({
    vocab_size: tokenizer.vocabularySize,
    d_model: 16,
    d_kv: 8,
    d_ff: 32,
    num_layers: 1,
    num_heads: 2,
    feed_forward_proj: "gated-gelu",
    tie_word_embeddings: false,
  });
  await saveModelFolder(folder, { config, tensors: initialTensors(createT5(config).parameters, seed) });
  const base = await openModelFolder(folder);
  return {
    base,
    tokenizer,
    folder,
    [Symbol.asyncDispose]: async () => {
      await base[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
