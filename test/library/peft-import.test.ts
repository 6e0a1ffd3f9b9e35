import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { createDelta, type DeltaConfig } from "../../src/experts/delta-config.js";
import { loraScale } from "../../src/experts/lora.js";
import { readPeftFolder } from "../../src/experts/node/read-peft-folder.js";
import { peftConfig } from "../../src/experts/peft.js";
import { readPeft } from "../../src/experts/peft-read.js";
import { checkStoredExpert, storedDelta } from "../../src/experts/stored-delta.js";
import { createLibrary } from "../../src/library/node/library.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { parseSafetensors } from "../../src/tensors/safetensors.js";
import { type Tensor, tensor } from "../../src/tensors/tensor.js";
import { evaluate } from "../parity/evaluate.js";
import { pick, targetPositions } from "../parity/expect-case.js";
import { batchOf, deviation, expectWithin, floatsOf, readModel, readTensors } from "../parity/fixture.js";
import { sampleBase } from "./sample-experts.js";
import { temporaryFolder } from "./temporary-folder.js";

const FIXTURES = fileURLToPath(new URL("../fixtures/peft", import.meta.url));
const { model, weights } = await readModel("v1_1");
const points = model.hookPoints;
const device = await openDevice({ threads: 1 });
afterAll(() => device.close());
const folder = temporaryFolder();

const cases: readonly [string, DeltaConfig, number][] = [
  ["lora_rank4", lora({ rank: 4, alpha: 4, targets: ["q", "v"] }), 0],
  ["lora_rank8_alpha", lora({ rank: 8, alpha: 12, targets: ["k", "wi_1", "wo"] }), 0],
  ["lora_rslora", lora({ rank: 8, alpha: 5, rankStabilized: true, targets: ["o"] }), 0],
  ["lora_missing_module", lora({ rank: 4, alpha: 8, targets: ["q", "v"] }), 7],
  ["lora_patterns", lora({ rank: 8, alpha: 24, targets: ["q", "v", "wo"] }), 0],
  ["lora_patterns_rslora", lora({ rank: 4, alpha: 24, targets: ["q", "v"] }), 0],
  ["lora_float16", lora({ rank: 4, alpha: 8, targets: ["q"] }), 0],
  ["lora_embedding", lora({ rank: 4, alpha: 6, targets: ["encoder.embed_tokens", "v"] }), 0],
  ["ia3", { kind: "ia3", config: { targets: ["k", "q", "wo"], feedForwardTargets: ["q", "wo"] } }, 0],
  ["ia3_missing_module", { kind: "ia3", config: { targets: ["v", "wo"], feedForwardTargets: ["wo"] } }, 4],
];

function lora(config: { rank: number; alpha: number; targets: string[]; rankStabilized?: boolean }): DeltaConfig {
  return { kind: "lora", config: { rankStabilized: false, ...config } };
}

test("every fixture is a case", async () => {
  const names = (await readdir(FIXTURES)).filter((name) => name !== "refused");
  expect(names.sort()).toEqual(cases.map(([name]) => name).sort());
});

test.each(cases)("%s computes what peft computes, also after a library", async (name, delta, neutral) => {
  const adapter = await readPeftFolder(join(FIXTURES, name), points);
  expect(adapter.delta).toEqual(delta);
  expect(adapter.neutral).toHaveLength(neutral);
  const library = await createLibrary(folder.path("library"), { base: sampleBase });
  const added = await library.add({
    manifest: { name, task: name, delta: storedDelta(adapter.delta), origin: { kind: "imported" } },
    tensors: adapter.tensors,
    adapterConfig: peftConfig(adapter.delta, sampleBase.id),
  });
  const read = await library.read(added.id);
  const stored = checkStoredExpert(read, { where: name, model });
  if (stored === undefined) throw new Error("expected a delta");
  const batch = batchOf(await readTensors("v1_1/case.safetensors"), model);
  const { logits } = await evaluate({
    device,
    model,
    batch,
    delta: createDelta(stored, points),
    tensors: new Map([...weights, ...read.tensors]),
  });
  const bytes = await readFile(join(FIXTURES, name, "logits.safetensors"));
  const expected = floatsOf(parseSafetensors(bytes, { where: name }).tensors, "logits");
  const plain = await evaluate({ device, model, batch, tensors: weights });
  // Of padding there is nothing to compare.
  const positions = targetPositions(batch);
  const compared = (values: Float32Array): number[] => pick(values, positions, model.vocabularySize);
  expectWithin(`${name}: logits`, compared(logits), compared(expected), 1e-4);
  expect(deviation(compared(plain.logits), compared(expected)).absolute).toBeGreaterThan(0.1);
});

test("without patterns the values of the file are taken bit by bit", async () => {
  const { tensors } = await readPeftFolder(join(FIXTURES, "lora_rslora"), points);
  const bytes = await readFile(join(FIXTURES, "lora_rslora", "adapter_model.safetensors"));
  const saved = parseSafetensors(bytes, { where: "lora_rslora" }).tensors;
  expect(new Map([...tensors].map(([name, value]) => [`base_model.model.${name}`, value]))).toEqual(saved);
});

test.each([
  ["modules_to_save", '"modules_to_save" (["lm_head"])'],
  ["ia3_modules_to_save", '"modules_to_save" (["lm_head"])'],
  ["dora", '"use_dora" (true)'],
  ["lora_bias", '"lora_bias" (true)'],
  ["pissa", '"init_lora_weights" ("pissa")'],
  ["trainable_tokens", '"trainable_token_indices" ({"shared":[3]})'],
  ["pattern_expression", 'alpha_pattern: expected names of modules, found the pattern "encoder\\\\..*q"'],
  ["prefix", 'expected an adapter of the type LORA or IA3, found "PREFIX_TUNING"'],
])("%s is refused by name", async (name, message) => {
  await expect(readPeftFolder(join(FIXTURES, "refused", name), points)).rejects.toMatchObject({
    code: "unsupported",
    message: expect.stringContaining(message),
  });
});

test("an adapter of the embedding that the encoder does not look at fits no base", async () => {
  await expect(readPeftFolder(join(FIXTURES, "refused", "embedding"), points)).rejects.toMatchObject({
    code: "mismatch",
    message: expect.stringContaining('lora_embedding_A", but the base has no embedding "shared"'),
  });
});

test("every refused fixture is tested above", async () => {
  expect(await readdir(join(FIXTURES, "refused"))).toHaveLength(9);
});

/** The rank-4 fixture with changes to its configuration or tensors. */
async function changed(
  config: Record<string, unknown>,
  change: (tensors: Map<string, Tensor>) => void = () => undefined,
): Promise<unknown> {
  const from = join(FIXTURES, "lora_rank4");
  const bytes = await readFile(join(from, "adapter_model.safetensors"));
  const tensors = new Map(parseSafetensors(bytes, { where: from }).tensors);
  change(tensors);
  const written: object = JSON.parse(await readFile(join(from, "adapter_config.json"), "utf8"));
  return Promise.resolve().then(() =>
    readPeft({ config: { ...written, ...config }, tensors, where: "adapter" }, points),
  );
}

const q = "base_model.model.encoder.block.0.layer.0.SelfAttention.q";

test.each<[string, Record<string, unknown>, ((tensors: Map<string, Tensor>) => void) | undefined, string, string]>([
  ["bias", { bias: "all" }, undefined, "unsupported", '"bias" ("all")'],
  ["a field of a newer peft", { use_magic: true }, undefined, "unsupported", '"use_magic" (true)'],
  ["replicated layers", { layer_replication: [[0, 1]] }, undefined, "unsupported", '"layer_replication"'],
  [
    "another rank than the tensors'",
    { r: 8 },
    undefined,
    "invalid-file",
    "expected a rank of 8 as adapter_config.json says, found 4",
  ],
  ["alpha 0", { lora_alpha: 0 }, undefined, "invalid-file", "lora_alpha"],
  ["no type", { peft_type: undefined }, undefined, "invalid-file", "peft_type"],
  [
    "half a pair",
    {},
    (tensors) => tensors.delete(`${q}.lora_B.weight`),
    "invalid-file",
    "expected both lora_A and lora_B",
  ],
  ["no tensors", {}, (tensors) => tensors.clear(), "invalid-file", "expected tensors of an adapter, found none"],
  [
    "a module that the base has not",
    {},
    (tensors) => tensors.set("base_model.model.encoder.block.9.layer.0.SelfAttention.q.lora_A.weight", zeros([4, 16])),
    "mismatch",
    "the base has no projection",
  ],
  [
    "names without PEFT's prefix",
    {},
    (tensors) => tensors.set("q.lora_A.weight", zeros([4, 16])),
    "unsupported",
    'found "q.lora_A.weight"',
  ],
  [
    "another width",
    {},
    (tensors) => tensors.set(`${q}.lora_A.weight`, zeros([4, 17])),
    "mismatch",
    "expected [4, 16] on this base, found [4, 17]",
  ],
  [
    "whole numbers",
    {},
    (tensors) => tensors.set(`${q}.lora_A.weight`, tensor("int32", [4, 16], new Int32Array(64))),
    "unsupported",
    "expected floating-point numbers, found int32",
  ],
])("%s is refused", async (_, config, change, code, message) => {
  await expect(changed(config, change)).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
});

test("ways of starting that leave the base alone are taken", async () => {
  for (const init_lora_weights of [false, "gaussian", "orthogonal", null]) {
    expect(await changed({ init_lora_weights })).toMatchObject({ delta: { kind: "lora" } });
  }
});

test("any ranks and alphas give the product that each projection had", () => {
  const two = points.linears.filter(({ name }) => /encoder\.block\.[01].*\.q\.weight$/.test(name));
  const parts = fc.record({
    rank: fc.integer({ min: 1, max: 5 }),
    alpha: fc.double({ min: 0.1, max: 50, noNaN: true }),
  });
  fc.assert(
    fc.property(parts, parts, fc.boolean(), (first, second, use_rslora) => {
      const saved = new Map<string, Tensor>();
      const modules = two.map(({ name, inputs, outputs }, index) => {
        const { rank, alpha } = index === 0 ? first : second;
        const a = tensor(
          "float32",
          [rank, inputs],
          Float32Array.from({ length: rank * inputs }, (_, at) => Math.sin(at + index)),
        );
        const b = tensor(
          "float32",
          [outputs, rank],
          Float32Array.from({ length: outputs * rank }, (_, at) => Math.cos(3 * at - index)),
        );
        const module = name.replace(".weight", "");
        saved.set(`base_model.model.${module}.lora_A.weight`, a);
        saved.set(`base_model.model.${module}.lora_B.weight`, b);
        return { module, a, b, scale: alpha / (use_rslora ? Math.sqrt(rank) : rank) };
      });
      const pattern = (key: "rank" | "alpha") => ({ [modules[1]?.module ?? ""]: second[key] });
      const config = {
        peft_type: "LORA",
        r: first.rank,
        lora_alpha: first.alpha,
        use_rslora,
        rank_pattern: pattern("rank"),
        alpha_pattern: pattern("alpha"),
      };
      const { delta, tensors } = readPeft({ config, tensors: saved, where: "adapter" }, points);
      if (delta.kind !== "lora") throw new Error("expected lora");
      for (const { module, a, b, scale } of modules) {
        const expected = product(b, a).map((value) => scale * value);
        const found = product(matrix(tensors, `${module}.lora_B.weight`), matrix(tensors, `${module}.lora_A.weight`));
        expectWithin(
          module,
          Float64Array.from(found, (value) => loraScale(delta.config) * value),
          Float64Array.from(expected),
          1e-5,
        );
      }
    }),
    { numRuns: 50 },
  );
});

test("pickled tensors are answered with the command that converts them; an empty folder is not found", async () => {
  const from = folder.path("adapter");
  await cp(join(FIXTURES, "lora_rank4"), from, { recursive: true });
  await rm(join(from, "adapter_model.safetensors"));
  await writeFile(join(from, "adapter_model.bin"), "");
  await expect(readPeftFolder(from, points)).rejects.toMatchObject({
    code: "unsupported",
    message: expect.stringContaining("torch.load('adapter_model.bin', weights_only=True)"),
  });
  await mkdir(folder.path("empty"));
  await expect(readPeftFolder(folder.path("empty"), points)).rejects.toMatchObject({ code: "not-found" });
});

function zeros(shape: readonly [number, number]): Tensor {
  return tensor("float32", shape, new Float32Array(shape[0] * shape[1]));
}

function matrix(tensors: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const found = tensors.get(name);
  if (found === undefined) throw new Error(`expected ${name}`);
  return found;
}

/** The product of two matrices in float64. */
function product(left: Tensor, right: Tensor): number[] {
  const [rows = 0, inner = 0] = left.shape;
  const columns = right.shape[1] ?? 0;
  return Array.from({ length: rows * columns }, (_, index) => {
    const [row, column] = [Math.floor(index / columns), index % columns];
    let sum = 0;
    for (let at = 0; at < inner; at += 1) {
      sum += Number(left.data[row * inner + at]) * Number(right.data[at * columns + column]);
    }
    return sum;
  });
}
