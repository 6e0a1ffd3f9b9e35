import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "../../core/random.js";
import { initialTensors } from "../../models/initialize.js";
import { saveModelFolder } from "../../models/node/model-folder.js";
import { parseT5Config } from "../../models/t5/config.js";
import { createT5 } from "../../models/t5/t5.js";
import { createByteTokenizer } from "../../tokenizers/byte-tokenizer.js";

/** Writes a T5 of some thousand random weights whose tokens are bytes. */
export async function writeTinyBase(folder: string, seed = 1): Promise<void> {
  const tokenizer = createByteTokenizer();
  const config = parseT5Config({
    architectures: ["T5ForConditionalGeneration"],
    model_type: "t5",
    vocab_size: (await tokenizer).vocabularySize,
    d_model: 32,
    d_kv: 8,
    d_ff: 64,
    num_layers: 1,
    num_heads: 4,
    feed_forward_proj: "gated-gelu",
    tie_word_embeddings: false,
    decoder_start_token_id: 0,
  });
  await mkdir(folder, { recursive: true });
  await saveModelFolder(folder, { config, tensors: initialTensors(createT5(config).parameters, seed) });
  await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify({ tokenizer_class: "ByT5Tokenizer" }));
}

/** Lines of `{ input, target }`: which of two letters comes first. */
export function letterRows(count: number): Record<string, string>[] {
  const random = createRandom(7);
  return Array.from({ length: count }, (_, index) => {
    const first = random.nextInteger(2) === 0;
    return { input: `${first ? "A" : "B"} ${index}`, target: first ? "yes" : "no" };
  });
}

/** Rows as the text of a JSONL file. */
export function linesOf(rows: readonly unknown[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}
