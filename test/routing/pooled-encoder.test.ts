import { afterAll, expect, test } from "vitest";
import { at } from "../../src/core/at.js";
import { Graph } from "../../src/graph/graph.js";
import { serializeGraph } from "../../src/graph/serialize.js";
import { layOutPacks } from "../../src/mixtures/pack.js";
import { initialTensors } from "../../src/models/initialize.js";
import { openModelFolder } from "../../src/models/node/model-folder.js";
import { parseT5Config } from "../../src/models/t5/config.js";
import { createT5 } from "../../src/models/t5/t5.js";
import { createPooledEncoder } from "../../src/routing/pooled-encoder.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { hasDType } from "../../src/tensors/tensor.js";
import { FIXTURES } from "../parity/fixture.js";
import { createToyDecoder } from "../toy-decoder.js";

const device = await openDevice({ threads: 1 });
afterAll(() => device.close());

const WIDTH = 16;
const MODEL_HASH = "e".repeat(64);
const model = createT5(
  parseT5Config({
    d_model: WIDTH,
    d_kv: 4,
    num_heads: 2,
    d_ff: 24,
    num_layers: 2,
    vocab_size: 60,
    feed_forward_proj: "gated-gelu",
  }),
);
const weights = initialTensors(model.parameters, 3);
/** A token a letter, and an end token. */
const tokenizer = {
  hash: "f".repeat(64),
  encode: (text: string) => Int32Array.from([...[...text].map((letter) => 2 + (letter.charCodeAt(0) % 58)), 1]),
};
const open = (more: { readonly inputLength?: number } = {}) =>
  createPooledEncoder({ device, encoder: model, weights, tokenizer, modelHash: MODEL_HASH, ...more });

/** The mean state of a text, computed alone and without padding. */
async function meanState(ids: Int32Array): Promise<number[]> {
  const shape = { rows: 1, inputLength: ids.length, targetLength: 1, sequences: 1 };
  const graph = new Graph();
  const batch = Object.fromEntries(
    model.batchInputs(shape).map((input) => [input.name, graph.input(input.name, input.dtype, input.shape)]),
  );
  const constants = new Map([...weights].map(([name, tensor]) => [name, graph.constant(tensor, name)]));
  const parameter = (name: string) => {
    const value = constants.get(name);
    if (value === undefined) throw new Error(name);
    return value;
  };
  const built = model.inputStates?.({ graph, parameter }, batch);
  if (built === undefined) throw new Error("expected a model with input states");
  graph.output("states", built);
  await using program = await device.compile(serializeGraph(graph));
  const packed = layOutPacks([[{ input: ids, targets: [Int32Array.of(1)], correct: 0 }]], shape, model.padId);
  const { outputs } = await program.run({ ...model.feeds(packed) });
  const { states } = outputs;
  if (states === undefined || !hasDType(states, "float32")) throw new Error("no states");
  expect(states.shape).toEqual([ids.length, WIDTH]);
  return Array.from({ length: WIDTH }, (_, column) => {
    let sum = 0;
    for (let row = 0; row < ids.length; row++) sum += at(states.data, row * WIDTH + column);
    return sum / ids.length;
  });
}

const expectClose = (found: Float32Array, expected: readonly number[]) => {
  expect(found.length).toBe(expected.length);
  expected.forEach((value, column) => {
    expect(found[column]).toBeCloseTo(value, 4);
  });
};

test("a vector is the mean of the states of a text's own tokens, whatever lies in the batch beside it", async () => {
  await using pooling = await open();
  const texts = ["short", "", "a text that is quite a bit longer than sixteen tokens", "short", "x".repeat(100)];
  const vectors = await pooling.pool(texts);
  expect(vectors.length).toBe(texts.length * WIDTH);
  for (const [index, text] of texts.entries()) {
    expectClose(vectors.subarray(index * WIDTH, (index + 1) * WIDTH), await meanState(tokenizer.encode(text)));
  }
  expect(vectors.slice(3 * WIDTH, 4 * WIDTH)).toEqual(vectors.slice(0, WIDTH));
  expect(await pooling.pool(texts)).toEqual(vectors);
  expect(await pooling.pool([])).toEqual(new Float32Array());
});

test("a text that is too long loses its end, but not its end token", async () => {
  await using pooling = await open({ inputLength: 10 });
  const ids = tokenizer.encode("abcdefghijklmnop");
  expectClose(await pooling.pool(["abcdefghijklmnop"]), await meanState(Int32Array.from([...ids.slice(0, 9), 1])));
  expect(pooling.identity).toMatchObject({ id: "t5/mean/10", width: WIDTH });
});

test("more texts than a batch holds are all encoded", async () => {
  await using pooling = await open();
  const texts = Array.from({ length: 300 }, (_, index) => `text ${index}`);
  const vectors = await pooling.pool(texts);
  expectClose(vectors.subarray(299 * WIDTH), await meanState(tokenizer.encode("text 299")));
  expectClose(vectors.subarray(130 * WIDTH, 131 * WIDTH), await meanState(tokenizer.encode("text 130")));
});

test("the identity depends on model, tokenizer and length, and on nothing else", async () => {
  await using first = await open();
  await using again = await open();
  await using otherModel = await createPooledEncoder({
    device,
    encoder: model,
    weights,
    tokenizer,
    modelHash: "0".repeat(64),
  });
  const spelled = { ...tokenizer, hash: "1".repeat(64) };
  await using otherTokenizer = await createPooledEncoder({
    device,
    encoder: model,
    weights,
    tokenizer: spelled,
    modelHash: MODEL_HASH,
  });
  expect(again.identity).toEqual(first.identity);
  expect(otherModel.identity.hash).not.toBe(first.identity.hash);
  expect(otherTokenizer.identity.hash).not.toBe(first.identity.hash);
});

test("weights are read from a model's folder too, only the encoder's", async () => {
  await using opened = await openModelFolder(`${FIXTURES}/v1_1`);
  const mapped = { device, encoder: opened.model, tokenizer, modelHash: MODEL_HASH };
  const tensors = new Map<string, Awaited<ReturnType<typeof opened.weights.read>>>();
  for (const { name } of opened.model.parameters) {
    if (!name.startsWith("decoder.")) tensors.set(name, await opened.weights.read(name));
  }
  await using fromFile = await createPooledEncoder({ ...mapped, weights: opened.weights });
  // Without the decoder's tensors: nothing asks for them.
  await using fromMemory = await createPooledEncoder({ ...mapped, weights: tensors });
  const vectors = await fromFile.pool(["some text"]);
  expect(vectors.some((value) => value !== 0)).toBe(true);
  expect(await fromMemory.pool(["some text"])).toEqual(vectors);
});

test("NaN weights, a fired signal, a closed encoder and impossible lengths are refused", async () => {
  const broken = new Map(weights);
  const scale = { dtype: "float32", shape: [WIDTH], data: new Float32Array(WIDTH).fill(Number.NaN) } as const;
  broken.set("encoder.final_layer_norm.weight", scale);
  await using failing = await createPooledEncoder({
    device,
    encoder: model,
    weights: broken,
    tokenizer,
    modelHash: MODEL_HASH,
  });
  await expect(failing.pool(["fine"])).rejects.toThrow(/text 0: the encoder has made a NaN or an infinity of "fine"/);
  const pooling = await open();
  await expect(pooling.pool(["a"], { signal: AbortSignal.abort() })).rejects.toThrow(/aborted/);
  await pooling.close();
  await expect(pooling.pool(["a"])).rejects.toMatchObject({ code: "closed" });
  await expect(open({ inputLength: 1 })).rejects.toThrow(/inputLength: expected a whole number from 2/);
});

test("a decoder-only model is refused, with what to use instead", async () => {
  const toy = createToyDecoder({ vocabularySize: 20, width: 8, heads: 2, layers: 1, positions: 16 });
  const opening = createPooledEncoder({
    device,
    encoder: toy,
    weights: initialTensors(toy.parameters, 1),
    tokenizer,
    modelHash: MODEL_HASH,
  });
  await expect(opening).rejects.toThrow(
    /got a toy-decoder, which has none; use an encoder of the MiniLM family or BM25/,
  );
});
