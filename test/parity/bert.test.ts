import { existsSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { at } from "../../src/core/at.js";
import { readJson } from "../../src/core/node/json.js";
import { createEmbedder } from "../../src/routing/embedder.js";
import { openSentenceEncoder } from "../../src/routing/node/open-sentence-encoder.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { parseSafetensors } from "../../src/tensors/safetensors.js";
import { openTokenizer } from "../../src/tokenizers/node/open-tokenizer.js";
import { expectWithin, expectWithinRelative, floatsOf } from "./fixture.js";

const FOLDER = fileURLToPath(new URL("../fixtures/bert", import.meta.url));
const caseSchema = z.object({ texts: z.array(z.string()), ids: z.array(z.array(z.number())) });

const device = await openDevice({ threads: 1 });
const { texts, ids } = caseSchema.parse(await readJson(join(FOLDER, "case.json")));
const { tensors } = parseSafetensors(await readFile(join(FOLDER, "case.safetensors")), { where: "case.safetensors" });

/** A copy of the fixture with a JSON file changed. */
async function folderWith(file: string, change: Readonly<Record<string, unknown>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cadre-bert-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await cp(FOLDER, folder, { recursive: true });
  const fields = z.record(z.string(), z.unknown()).parse(await readJson(join(folder, file)));
  await writeFile(join(folder, file), JSON.stringify({ ...fields, ...change }));
  return folder;
}

test("a WordPiece tokenizer gives Python's ids", async () => {
  const tokenizer = await openTokenizer(FOLDER);
  const longest = Math.max(...ids.map(({ length }) => length));
  expect(texts.length).toBe(ids.length);
  texts.forEach((text, index) => {
    const found = [...tokenizer.encode(text)];
    const expected = at(ids, index);
    const kept = found.length <= longest ? found : [...found.slice(0, longest - 1), at(found, found.length - 1)];
    expect(kept, text).toEqual(expected);
  });
});

test("vectors are those of transformers with sentence-transformers' pooling", async () => {
  await using encoder = await openSentenceEncoder({ device, folder: FOLDER });
  expect(encoder.identity).toMatchObject({ id: "bert/mean/24", width: 32 });
  const pooled = await encoder.pool(texts);
  expectWithinRelative("pooled", pooled, floatsOf(tensors, "pooled"), 2e-5);
  const embedded = await createEmbedder(encoder).embed(texts);
  expectWithin("embeddings", embedded, floatsOf(tensors, "embeddings"), 1e-5);
  // Alone, in another batch shape.
  const last = await encoder.pool([at(texts, texts.length - 1)]);
  expectWithinRelative("last", last, pooled.slice(-32), 1e-5);
});

test("another configuration or length is another encoder; the same files are the same one", async () => {
  await using first = await openSentenceEncoder({ device, folder: FOLDER });
  await using again = await openSentenceEncoder({ device, folder: FOLDER });
  await using other = await openSentenceEncoder({
    device,
    folder: await folderWith("config.json", { hidden_act: "relu" }),
  });
  await using shorter = await openSentenceEncoder({ device, folder: FOLDER, inputLength: 12 });
  expect(again.identity).toEqual(first.identity);
  expect(other.identity.hash).not.toBe(first.identity.hash);
  expect(shorter.identity.id).toBe("bert/mean/12");
});

test("what is no BERT with mean pooling is refused in words", async () => {
  const open = async (file: string, change: Readonly<Record<string, unknown>>) =>
    openSentenceEncoder({ device, folder: await folderWith(file, change) });
  await expect(open("config.json", { model_type: "mpnet" })).rejects.toThrow(/expected "bert"/);
  await expect(open("config.json", { position_embedding_type: "relative_key" })).rejects.toThrow(/relative positions/);
  await expect(open("config.json", { hidden_size: 33 })).rejects.toThrow(/hidden_size: expected a multiple of .* = 4/);
  await expect(open("config.json", { num_hidden_layers: 3 })).rejects.toThrow(/"encoder.layer.2.attention.self.query/);
  await expect(open("config.json", { vocab_size: 20 })).rejects.toThrow(/expected a tokenizer of at most/);
  await expect(open("config.json", { pad_token_id: 4000 })).rejects.toThrow(/pad_token_id/);
  const cls = { pooling_mode_mean_tokens: false, pooling_mode_cls_token: true };
  await expect(open("1_Pooling/config.json", cls)).rejects.toThrow(/found pooling_mode_cls_token/);
  await expect(openSentenceEncoder({ device, folder: FOLDER, inputLength: 25 })).rejects.toThrow(
    /expected a whole number from 2 to 24, got 25/,
  );
});

const miniLm = process.env.CADRE_MINILM;

test.skipIf(miniLm === undefined || !existsSync(miniLm))(
  "all-MiniLM-L6-v2 finds the similarities of its documentation (skipped unless CADRE_MINILM names its folder)",
  async () => {
    await using encoder = await openSentenceEncoder({ device, folder: miniLm ?? "" });
    const vectors = await createEmbedder(encoder).embed([
      "The weather is lovely today.",
      "It's so sunny outside!",
      "He drove to the stadium.",
    ]);
    expect(vectors.length).toBe(3 * 384);
    const similarity = (left: number, right: number): number =>
      vectors
        .subarray(left * 384, (left + 1) * 384)
        .reduce((sum, value, index) => sum + value * at(vectors, right * 384 + index), 0);
    // As sentence-transformers prints them in its quickstart.
    expect(similarity(0, 1)).toBeCloseTo(0.666, 3);
    expect(similarity(0, 2)).toBeCloseTo(0.1046, 3);
    expect(similarity(1, 2)).toBeCloseTo(0.1411, 3);
  },
);
