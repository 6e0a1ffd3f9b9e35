import { join } from "node:path";
import * as z from "zod";
import { CadreError } from "../../core/errors.js";
import { sha256 } from "../../core/hash.js";
import { hashFile } from "../../core/node/hash-file.js";
import { readJson } from "../../core/node/json.js";
import { parseConfig } from "../../core/parse-config.js";
import { createBert } from "../../models/bert/bert.js";
import { parseBertConfig } from "../../models/bert/config.js";
import type { Device } from "../../runtime/device.js";
import { openWeights } from "../../tensors/node/model-weights.js";
import { openTokenizer } from "../../tokenizers/node/open-tokenizer.js";
import { createPooledEncoder, type PooledEncoder } from "../pooled-encoder.js";

/** The largest JSON file beside the weights that is read, in bytes. */
const MAX_CONFIG_BYTES = 2 ** 20;

const lengthSchema = z.looseObject({ max_seq_length: z.int().min(2).nullish() });
const poolingSchema = z.looseObject({
  pooling_mode_mean_tokens: z.boolean().default(false),
  include_prompt: z.boolean().optional(),
});

/** Options of {@link openSentenceEncoder}. */
export interface SentenceEncoderOptions {
  readonly device: Device;
  /** With `config.json`, `tokenizer.json` and `model.safetensors`, as `sentence-transformers/all-MiniLM-L6-v2` has them on the Hub. */
  readonly folder: string;
  /** Most tokens of a text; default: what `sentence_bert_config.json` says, else 256 or what the model has positions for. */
  readonly inputLength?: number;
}

/**
 * Opens an encoder of the MiniLM family from a folder; closing it closes its files.
 * @throws CadreError `not-found`, `invalid-file`, `unsupported` (pickled weights, pooling other than the mean of tokens), `mismatch` naming
 * a tensor that is missing or has the wrong shape.
 */
export async function openSentenceEncoder(options: SentenceEncoderOptions): Promise<PooledEncoder> {
  const { device, folder } = options;
  const config = parseBertConfig(await readJson(join(folder, "config.json"), { maxBytes: MAX_CONFIG_BYTES }));
  await expectMeanPooling(join(folder, "1_Pooling", "config.json"));
  const lengthFile = join(folder, "sentence_bert_config.json");
  const { max_seq_length: declared } = parseConfig(lengthSchema, (await readIfThere(lengthFile)) ?? {}, {
    where: lengthFile,
    code: "invalid-file",
  });
  const inputLength = options.inputLength ?? declared ?? undefined;
  const tokenizer = await openTokenizer(folder);
  if (tokenizer.vocabularySize > config.vocabularySize) {
    throw new CadreError(
      "mismatch",
      `${folder}: expected a tokenizer of at most vocab_size = ${config.vocabularySize} pieces, found ${tokenizer.vocabularySize}`,
    );
  }
  const weights = await openWeights(folder);
  try {
    const files = [...new Set([...weights.tensors.values()].map(({ path }) => path))].sort();
    const hashes: string[] = [];
    for (const file of files) hashes.push(await hashFile(file));
    const encoder = await createPooledEncoder({
      device,
      encoder: createBert(config),
      weights,
      tokenizer,
      modelHash: await sha256(new TextEncoder().encode(JSON.stringify([config, hashes]))),
      ...(inputLength === undefined ? {} : { inputLength }),
    });
    const close = async (): Promise<void> => {
      await encoder.close();
      await weights.close();
    };
    return { ...encoder, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await weights.close();
    throw error;
  }
}

async function expectMeanPooling(path: string): Promise<void> {
  const content = await readIfThere(path);
  if (content === undefined) return;
  const fields = parseConfig(poolingSchema, content, { where: path, code: "invalid-file" });
  const others = Object.entries(fields).filter(
    ([name, value]) => name.startsWith("pooling_mode_") && name !== "pooling_mode_mean_tokens" && value === true,
  );
  if (!fields.pooling_mode_mean_tokens || others.length > 0) {
    const found = others.map(([name]) => name).join(", ") || "none";
    throw new CadreError("unsupported", `${path}: expected pooling_mode_mean_tokens alone, found ${found}`);
  }
}

async function readIfThere(path: string): Promise<unknown> {
  try {
    return await readJson(path, { maxBytes: MAX_CONFIG_BYTES });
  } catch (error) {
    if (CadreError.isInstance(error) && error.code === "not-found") return undefined;
    throw error;
  }
}
