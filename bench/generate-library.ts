import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { addTinyExperts } from "../src/cadre/node/tiny-library.test.helpers.js";
import type { DeltaConfig } from "../src/experts/delta-config.js";
import { initialTensors } from "../src/models/initialize.js";
import { saveModelFolder } from "../src/models/node/model-folder.js";
import { PACKAGED_BASE, resolveBase } from "../src/models/node/resolve-base.js";
import { parseT5Config } from "../src/models/t5/config.js";
import { createT5 } from "../src/models/t5/t5.js";

const delta: DeltaConfig = { kind: "lora", config: { rank: 8, alpha: 16, targets: ["q", "v"] } };

/** Libraries of experts that nobody trained: speed does not depend on what numbers say. */
export const BASES = ["cadre-mini", "T5-small"] as const;
export type BenchBase = (typeof BASES)[number];

/** The shape of google-t5/t5-small: 60 million parameters. */
const t5Small = {
  architectures: ["T5ForConditionalGeneration"],
  model_type: "t5",
  ...{ d_model: 512, d_kv: 64, d_ff: 2048, num_layers: 6, num_decoder_layers: 6, num_heads: 8, vocab_size: 32128 },
  ...{
    feed_forward_proj: "relu",
    tie_word_embeddings: true,
    pad_token_id: 0,
    eos_token_id: 1,
    decoder_start_token_id: 0,
  },
};
/** For `--smoke`. */
const tiny = { ...t5Small, d_model: 32, d_ff: 64, num_layers: 1, num_decoder_layers: 1, num_heads: 2 };

/** Writes a base and a library of so many LoRA experts, and `whole` ones whose weights are all their own. */
export async function writeBenchLibrary(
  folder: string,
  options: { readonly base: BenchBase; readonly experts: number; readonly whole: number; readonly smoke: boolean },
): Promise<{
  readonly library: string;
  readonly base: string;
  /** Their names. */
  readonly experts: readonly string[];
  readonly whole: readonly string[];
}> {
  const base = join(folder, "base");
  await mkdir(folder, { recursive: true });
  const packaged = await resolveBase(PACKAGED_BASE);
  if (options.base === "cadre-mini") {
    await symlink(packaged, base);
  } else {
    await writeRandomBase(base, { tokenizerFrom: packaged, fields: options.smoke ? tiny : t5Small });
  }
  const experts = Array.from({ length: options.experts }, (_, index) => `expert ${index}`);
  const whole = Array.from({ length: options.whole }, (_, index) => `whole ${index}`);
  const { library } = await addTinyExperts(folder, [
    ...experts.map((name) => ({ name, delta })),
    ...whole.map((name) => ({ name, delta: "full" as const })),
  ]);
  return { library: library.path, base, experts, whole };
}

/** Random weights; the packaged base's tokenizer with pieces that no text has, so that every id that may be drawn is some text. */
async function writeRandomBase(
  folder: string,
  { tokenizerFrom, fields }: { readonly tokenizerFrom: string; readonly fields: typeof t5Small },
): Promise<void> {
  const config = parseT5Config(fields);
  await saveModelFolder(folder, { config, tensors: initialTensors(createT5(config).parameters, 1) });
  // Parse boundary: the file that ships.
  const tokenizer = JSON.parse(await readFile(join(tokenizerFrom, "tokenizer.json"), "utf8")) as {
    readonly model: { readonly vocab: Record<string, number> };
    readonly added_tokens: readonly { readonly id: number }[];
  };
  const { vocab } = tokenizer.model;
  const known = Math.max(...Object.values(vocab), ...tokenizer.added_tokens.map(({ id }) => id));
  for (let id = known + 1; id < config.vocabularySize; id++) vocab[`<unused ${id}>`] = id;
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
  const settings = await readFile(join(tokenizerFrom, "tokenizer_config.json"), "utf8");
  await writeFile(join(folder, "tokenizer_config.json"), settings);
}
