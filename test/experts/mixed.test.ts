import fc from "fast-check";
import { expect, test } from "vitest";
import { at } from "../../src/core/at.js";
import { createDelta } from "../../src/experts/delta-config.js";
import { type MixedExpert, type MixedExperts, mixExperts } from "../../src/experts/mixed.js";
import { layOutRows, type Row } from "../../src/experts/rows.js";
import { add } from "../../src/graph/ops/elementwise.js";
import { matmul } from "../../src/graph/ops/matmul.js";
import { layOutPacks } from "../../src/mixtures/pack.js";
import type { Delta } from "../../src/models/delta.js";
import { initialTensors } from "../../src/models/initialize.js";
import type { PackedBatch, WeightedExpert } from "../../src/models/packed-batch.js";
import type { Device } from "../../src/runtime/device.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import type { Tensor } from "../../src/tensors/tensor.js";
import { type CompiledEvaluation, compileEvaluation, type Evaluation, evaluate } from "../parity/evaluate.js";
import {
  deviation,
  expectWithin,
  expectWithinRelative,
  floatsOf,
  readModel,
  type TensorMap,
} from "../parity/fixture.js";
import { createToyDecoder } from "../toy-decoder.js";
import { configs, raggedExample, randomExpert, randomExperts } from "./tiny-experts.js";

const device = await openDevice({ threads: 1 });
const { model, weights } = await readModel("v1_1");
const points = model.hookPoints;
const experts = randomExperts(points);
const shape = { rows: 4, inputLength: 20, targetLength: 14, sequences: 6 };
const aloneShape = { ...shape, rows: 1 };
const TOLERANCE = 1e-5;

/** Compiled once for each expert, and for the base. */
const compiled = new Map<string, Promise<CompiledEvaluation>>();

function alone(id: string, example: number): Promise<Evaluation> {
  const expert = experts.find((one) => one.id === id);
  const delta = expert && createDelta(expert.delta, points);
  const evaluation =
    compiled.get(id) ??
    compileEvaluation({
      device,
      model,
      shape: aloneShape,
      ...(delta === undefined ? {} : { delta, differentiate: "tokens" }),
    });
  compiled.set(id, evaluation);
  const batch = layOutPacks([[raggedExample(example)]], aloneShape, model.padId);
  return evaluation.then((program) => program.run(batch, new Map([...weights, ...(expert?.tensors ?? [])])));
}

function tensorsOf(mixed: MixedExperts): TensorMap {
  return new Map([...weights, ...mixed.tensors]);
}

function rowOf(example: number, ...list: readonly WeightedExpert[]): Row {
  return { example: raggedExample(example), experts: list };
}

/** Log-probabilities of the target tokens of each example, where packs hold several. */
function byExample(packs: readonly (readonly Row[])[], logProbabilities: Float32Array): number[][] {
  return packs.flatMap((pack, row) => {
    let position = row * shape.targetLength;
    return pack.map(({ example }) => {
      const count = example.targets.reduce((sum, { length }) => sum + length, 0);
      position += count;
      return [...logProbabilities.subarray(position - count, position)];
    });
  });
}

const everything = mixExperts(experts, points, { perRow: 2 });
const program = await compileEvaluation({
  device,
  model,
  shape,
  delta: everything.delta,
  differentiate: "tokens",
});

test("rows of all kinds, and of none, share a batch and say what each says alone", async () => {
  const ids = [...Object.keys(configs), "base"];
  const differences: number[] = [];
  for (const first of [0, 4]) {
    const chosen = ids.slice(first, first + 4);
    const packs = chosen.map((id, row) => [rowOf(first + row, ...(id === "base" ? [] : [{ id, weight: 1 }]))]);
    const { logProbabilities } = await program.run(layOutRows(packs, shape, model.padId), tensorsOf(everything));
    const own = byExample(packs, logProbabilities);
    for (const [row, id] of chosen.entries()) {
      const count = at(own, row).length;
      const reference = (await alone(id, first + row)).logProbabilities.subarray(0, count);
      expectWithin(id, at(own, row), reference, TOLERANCE);
      const base = (await alone("base", first + row)).logProbabilities.subarray(0, count);
      differences.push(deviation(base, reference).absolute);
    }
  }
  // Every expert but the base does change its row.
  expect(Math.min(...differences.slice(0, -1))).toBeGreaterThan(0.1);
});

test("any assignment, several examples to a row, is answered as each example alone", async () => {
  const ids = [...Object.keys(configs), "base"];
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.tuple(fc.nat(11), fc.constantFrom(...ids)), { maxLength: 2 }), { maxLength: shape.rows }),
      async (assignment) => {
        const packs = assignment.map((pack) =>
          pack.map(([example, id]) => rowOf(example, ...(id === "base" ? [] : [{ id, weight: 1 }]))),
        );
        const { logProbabilities } = await program.run(layOutRows(packs, shape, model.padId), tensorsOf(everything));
        const own = byExample(packs, logProbabilities);
        for (const [index, [example, id]] of assignment.flat().entries()) {
          const reference = (await alone(id, example)).logProbabilities.subarray(0, at(own, index).length);
          expectWithin(`${id} on example ${example}`, at(own, index), reference, TOLERANCE);
        }
      },
    ),
    { numRuns: 40, seed: 7 },
  );
});

test("gradients reach each expert's own tensors, as alone", async () => {
  const packs = [
    [rowOf(0, { id: "lora-small", weight: 1 }), rowOf(1, { id: "bottleneck-large", weight: 1 })],
    [rowOf(2, { id: "lora-large", weight: 1 }), rowOf(3, { id: "lora-small", weight: 1 })],
    [rowOf(4, { id: "ia3-all", weight: 1 }), rowOf(5)],
    [rowOf(6, { id: "ia3-keys", weight: 1 }), rowOf(7, { id: "bottleneck-large", weight: 1 })],
  ];
  const { gradients } = await program.run(layOutRows(packs, shape, model.padId), tensorsOf(everything));
  const tokens = (example: number): number => layOutPacks([[raggedExample(example)]], aloneShape, 0).targetTokens;
  const total = [0, 1, 2, 3, 4, 5, 6, 7].reduce((sum, example) => sum + tokens(example), 0);
  const users = new Map([
    ["lora-small", [0, 3]],
    ["lora-large", [2]],
    ["bottleneck-large", [1, 7]],
    ["ia3-all", [4]],
    ["ia3-keys", [6]],
  ]);
  for (const [id, examples] of users) {
    const expected = new Map<string, Float32Array>();
    for (const example of examples) {
      for (const [name, tensor] of (await alone(id, example)).gradients) {
        const sum = expected.get(name) ?? new Float32Array(tensor.data.length);
        expected.set(
          name,
          sum.map((before, index) => before + (Number(tensor.data[index]) * tokens(example)) / total),
        );
      }
    }
    expect(expected.size).toBeGreaterThan(0);
    const own = slotOf(gradients, id);
    // Some are 0 but for rounding (a query's that sees one key), so all are compared at the scale of all.
    const names = [...expected.keys()];
    const reference = names.flatMap((name) => [...(expected.get(name) ?? [])]);
    const found = names.flatMap((name) => [...floatsOf(own, name)]);
    expectWithin(id, found, reference, TOLERANCE);
    expectWithinRelative(id, found, reference, TOLERANCE);
  }
  // Nobody used this one.
  expect(
    [...slotOf(gradients, "bottleneck-small").values()]
      .flatMap(({ data }) => [...data])
      .every((one) => Number(one) === 0),
  ).toBe(true);
});

/** An expert's part of stacked tensors, cut to its own sizes. */
function slotOf(stacked: TensorMap, id: string): TensorMap {
  const expert = at(
    experts.filter((one) => one.id === id),
    0,
  );
  const slot = experts.filter(({ delta }) => delta.kind === expert.delta.kind).indexOf(expert);
  const entries = [...expert.tensors].map(([name, { shape: own }]): [string, Tensor] => {
    const stack = stacked.get(`${expert.delta.kind}/${name}`);
    const [, ...size] = stack?.shape ?? [];
    const data = floatsOf(stacked, `${expert.delta.kind}/${name}`);
    const [rows, columns] = own.length === 1 ? [1, at(own, 0)] : [at(own, 0), at(own, 1)];
    const [stackRows, stackColumns] = size.length === 1 ? [1, at(size, 0)] : [at(size, 0), at(size, 1)];
    const cut = Float32Array.from({ length: rows * columns }, (_, index) => {
      const [row, column] = [Math.floor(index / columns), index % columns];
      return at(data, slot * stackRows * stackColumns + row * stackColumns + column);
    });
    return [name, { dtype: "float32", shape: own, data: cut }];
  });
  return new Map(entries);
}

test("a weighted list of LoRA experts is one LoRA of their weighted products", async () => {
  const [left, right] = [0, 1].map((index) => randomExpert(`l${index}`, at(Object.values(configs), 0), points));
  if (left === undefined || right === undefined) {
    throw new Error("expected two experts");
  }
  // Rank 2 and rank 2 side by side are rank 4 with scale 1; each has scale 3 / 2.
  const weightsOf = [0.7, -0.4];
  const joined = new Map(
    [...left.tensors].map(([name, tensor]): [string, Tensor] => {
      const [a, b] = [floatsOf(left.tensors, name), floatsOf(right.tensors, name)];
      if (name.includes("lora_A")) {
        return [name, { dtype: "float32", shape: [4, at(tensor.shape, 1)], data: Float32Array.of(...a, ...b) }];
      }
      const outputs = at(tensor.shape, 0);
      const data = Float32Array.from({ length: outputs * 4 }, (_, index) => {
        const [row, column] = [Math.floor(index / 4), index % 4];
        const factor = 1.5 * at(weightsOf, column < 2 ? 0 : 1);
        return factor * at(column < 2 ? a : b, row * 2 + (column % 2));
      });
      return [name, { dtype: "float32", shape: [outputs, 4], data }];
    }),
  );
  const list = [left, right].map(({ id }, index) => ({ id, weight: at(weightsOf, index) }));
  const reference: MixedExpert = {
    id: "joined",
    delta: { kind: "lora", config: { rank: 4, alpha: 4 } },
    tensors: joined,
  };
  await expectList([left, right], list, reference);
});

test("a weighted list of (IA)³ experts moves each factor from 1 by the weighted differences", async () => {
  const [left, right] = [0, 1].map((index) => randomExpert(`i${index}`, { kind: "ia3", config: {} }, points));
  if (left === undefined || right === undefined) {
    throw new Error("expected two experts");
  }
  const joined = combine(left, right, (a, b) => 1 + 0.5 * (a - 1) + 0.8 * (b - 1));
  const list = [
    { id: "i0", weight: 0.5 },
    { id: "i1", weight: 0.8 },
  ];
  await expectList([left, right], list, { id: "joined", delta: { kind: "ia3", config: {} }, tensors: joined });
});

test("a bottleneck listed twice counts with the sum of its weights: its branches and gains move that far from the base", async () => {
  const expert = randomExpert("b", { kind: "bottleneck", config: { width: 3 } }, points);
  const joined = new Map(
    [...expert.tensors].map(([name, tensor]): [string, Tensor] => {
      const data = floatsOf(expert.tensors, name);
      if (name.endsWith("norm.weight")) {
        const base = floatsOf(weights, name);
        return [
          name,
          {
            ...tensor,
            dtype: "float32",
            data: data.map((gain, index) => at(base, index) + 0.6 * (gain - at(base, index))),
          },
        ];
      }
      return [name, { ...tensor, dtype: "float32", data: name.includes(".up.") ? data.map((one) => 0.6 * one) : data }];
    }),
  );
  const list = [
    { id: "b", weight: 0.25 },
    { id: "b", weight: 0.35 },
  ];
  await expectList([expert], list, { ...expert, id: "joined", tensors: joined });
});

test("where a list mixes kinds on one projection, (IA)³ scales what the base makes and LoRA adds to it", async () => {
  const lora = randomExpert("l", { kind: "lora", config: { rank: 2, alpha: 2, targets: ["k", "wo"] } }, points);
  const ia3 = randomExpert("i", { kind: "ia3", config: {} }, points);
  const both: Delta = {
    kind: "both",
    parameters: [...createDelta(lora.delta, points).parameters, ...createDelta(ia3.delta, points).parameters],
    hooks: (tensor, batch) => {
      const scaled = createDelta(ia3.delta, points).hooks(tensor, batch);
      return {
        linear: (projection) => {
          const output = scaled.linear?.(projection) ?? projection.output;
          if (!/\.(k|wo)\.weight$/.test(projection.name)) {
            return output;
          }
          const part = (name: string) => tensor(projection.name.replace(/weight$/, `${name}.weight`));
          const narrow = matmul(projection.input, part("lora_A"), { transposeB: true });
          return add(output, matmul(narrow, part("lora_B"), { transposeB: true }));
        },
      };
    },
  };
  const mixed = mixExperts([lora, ia3], points);
  const example = raggedExample(0);
  const list = [
    { id: "l", weight: 1 },
    { id: "i", weight: 1 },
  ];
  const own = await evaluate({
    device,
    model,
    batch: layOutRows([[{ example, experts: list }]], aloneShape, model.padId),
    delta: mixed.delta,
    tensors: tensorsOf(mixed),
  });
  const reference = await evaluate({
    device,
    model,
    batch: layOutPacks([[example]], aloneShape, model.padId),
    delta: both,
    tensors: new Map([...weights, ...lora.tensors, ...ia3.tensors]),
  });
  const count = at(example.targets, 0).length;
  expectWithin(
    "both",
    own.logProbabilities.subarray(0, count),
    reference.logProbabilities.subarray(0, count),
    TOLERANCE,
  );
});

function combine(left: MixedExpert, right: MixedExpert, blend: (a: number, b: number) => number): TensorMap {
  return new Map(
    [...left.tensors].map(([name, tensor]): [string, Tensor] => {
      const other = floatsOf(right.tensors, name);
      const data = floatsOf(left.tensors, name).map((one, index) => blend(one, at(other, index)));
      return [name, { dtype: "float32", shape: tensor.shape, data }];
    }),
  );
}

/** A list's row, amid rows of the base, against one expert that says the same. */
async function expectList(
  members: readonly MixedExpert[],
  list: readonly WeightedExpert[],
  reference: MixedExpert,
): Promise<void> {
  const mixed = mixExperts(members, points, { perRow: 2 });
  const packs = [[rowOf(3)], [rowOf(4), rowOf(0, ...list)], [rowOf(1)]];
  const own = await evaluate({
    device,
    model,
    batch: layOutRows(packs, shape, model.padId),
    delta: mixed.delta,
    tensors: tensorsOf(mixed),
  });
  const single = await evaluate({
    device,
    model,
    batch: layOutPacks([[raggedExample(0)]], aloneShape, model.padId),
    delta: createDelta(reference.delta, points),
    tensors: new Map([...weights, ...reference.tensors]),
  });
  const found = at(byExample(packs, own.logProbabilities), 2);
  expectWithin("list", found, single.logProbabilities.subarray(0, found.length), TOLERANCE);
}

test("one program serves a set of kinds, whatever the experts and the assignment; another set needs another", async () => {
  let compilations = 0;
  const counting: Device = {
    ...device,
    compile: (bytes, options) => {
      compilations++;
      return device.compile(bytes, options);
    },
  };
  const programs = new Map<string, CompiledEvaluation>();
  let current: Delta | undefined;
  const feeds = (batch: PackedBatch): Record<string, Tensor> => current?.feeds?.(batch) ?? {};
  const run = async (members: readonly MixedExpert[], packs: readonly (readonly Row[])[]): Promise<void> => {
    const mixed = mixExperts(members, points);
    current = mixed.delta;
    const known =
      programs.get(mixed.programKey) ??
      (await compileEvaluation({ device: counting, model, shape, delta: { ...mixed.delta, feeds } }));
    programs.set(mixed.programKey, known);
    const { logProbabilities } = await known.run(layOutRows(packs, shape, model.padId), tensorsOf(mixed));
    for (const [index, row] of packs.flat().entries()) {
      const id = row.experts[0]?.id ?? "base";
      const found = at(byExample(packs, logProbabilities), index);
      expectWithin(id, found, (await alone(id, index)).logProbabilities.subarray(0, found.length), TOLERANCE);
    }
  };
  const [small, large, , , scaling] = experts;
  if (small === undefined || large === undefined || scaling === undefined) {
    throw new Error("expected experts");
  }
  const named = (example: number, id: string) => [rowOf(example, { id, weight: 1 })];
  const copy = (id: string) => ({ ...small, id });
  await run([small, large, copy("third")], [named(0, "lora-small"), named(1, "lora-large"), [rowOf(2)]]);
  await run([small, large, copy("third")], [named(0, "lora-large"), named(1, "lora-large"), named(2, "lora-small")]);
  await run([copy("a"), large, small, copy("d")], [[rowOf(0)], named(1, "lora-small"), named(2, "lora-large")]);
  await run([small, large, copy("c")], []);
  expect(compilations).toBe(1);
  await run([small, large, copy("c"), scaling], [named(0, "ia3-all"), named(1, "lora-small")]);
  await run([scaling, large, small, copy("c")], [named(0, "lora-small"), named(1, "ia3-all")]);
  expect(compilations).toBe(2);
  // A fifth slot.
  await run([small, large, copy("c"), copy("d"), copy("e")], [named(0, "lora-large")]);
  expect(compilations).toBe(3);
});

test("a decoder-only model mixes rows just as well", async () => {
  const toy = createToyDecoder({ vocabularySize: 64, width: 16, heads: 2, layers: 2, positions: 40 });
  const base = initialTensors(toy.parameters, 3);
  const members = [
    randomExpert("lora", { kind: "lora", config: { rank: 2, alpha: 2 } }, toy.hookPoints),
    randomExpert("bottleneck", { kind: "bottleneck", config: { width: 2 } }, toy.hookPoints),
    randomExpert("ia3", { kind: "ia3", config: {} }, toy.hookPoints),
  ];
  const mixed = mixExperts(members, toy.hookPoints);
  const packs = [
    members.slice(0, 2).map(({ id }, example) => rowOf(example, { id, weight: 1 })),
    [rowOf(2, { id: "ia3", weight: 1 }), rowOf(3)],
  ];
  const batch = layOutRows(packs, shape, toy.padId);
  const tensors = new Map([...base, ...mixed.tensors]);
  const together = await evaluate({ device, model: toy, batch, delta: mixed.delta, tensors });
  const found = byExample(packs, together.logProbabilities);
  for (const [index, row] of packs.flat().entries()) {
    const expert = members.find(({ id }) => id === row.experts[0]?.id);
    const single = await evaluate({
      device,
      model: toy,
      batch: layOutPacks([[row.example]], aloneShape, toy.padId),
      ...(expert === undefined ? {} : { delta: createDelta(expert.delta, toy.hookPoints) }),
      tensors: new Map([...base, ...(expert?.tensors ?? [])]),
    });
    const own = at(found, index);
    expectWithin(expert?.id ?? "base", own, single.logProbabilities.subarray(0, own.length), TOLERANCE);
  }
});

const bad: Readonly<Record<string, { readonly packs: readonly (readonly Row[])[]; readonly message: RegExp }>> = {
  "an unknown expert": {
    packs: [[rowOf(0)], [rowOf(1, { id: "nobody", weight: 1 })]],
    message: /^experts: row 1: expected experts among ia3-all, .*lora-small.*, got "nobody"$/,
  },
  "a weight that is no number": {
    packs: [[rowOf(0, { id: "ia3-all", weight: Number.NaN })]],
    message: /^experts: row 0: expected a finite weight of "ia3-all", got NaN$/,
  },
  "an infinite weight": {
    packs: [[rowOf(0, { id: "ia3-all", weight: Number.POSITIVE_INFINITY })]],
    message: /^experts: row 0: expected a finite weight of "ia3-all", got Infinity$/,
  },
};

test.each(Object.keys(bad))("refuses %s", async (what) => {
  const { packs, message } = bad[what] ?? { packs: [], message: /never/ };
  const batch = layOutRows(packs, shape, model.padId);
  expect(() => everything.delta.feeds?.(batch)).toThrow(message);
});

test("refuses more experts in a row than there is room for", () => {
  const narrow = mixExperts(experts, points);
  const one = [rowOf(0, { id: "lora-small", weight: 1 }), rowOf(1, { id: "lora-large", weight: 1 })];
  expect(() => narrow.delta.feeds?.(layOutRows([[], one], shape, model.padId))).toThrow(
    "experts: row 1: expected at most 1 lora experts, got more; raise perRow or put its examples into different rows",
  );
  // One of each kind is no trouble.
  const kinds = [rowOf(0, { id: "lora-small", weight: 1 }), rowOf(1, { id: "ia3-all", weight: 1 })];
  expect(() => narrow.delta.feeds?.(layOutRows([kinds], shape, model.padId))).not.toThrow();
});

test("refuses lists that do not fit the batch", () => {
  const batch = layOutRows([[rowOf(0)]], shape, model.padId);
  const lists = Array.from({ length: 5 }, () => [[]]);
  expect(() => everything.delta.feeds?.({ ...batch, segmentExperts: lists })).toThrow(
    "experts: expected lists for at most 4 rows of 6 examples, got more",
  );
});

test("refuses experts that are not what their configuration says", () => {
  const expert = at(experts, 0);
  const mix = (change: Partial<MixedExpert>) => () => mixExperts([{ ...expert, ...change }], points);
  const [[name, first] = []] = expert.tensors;
  if (name === undefined || first === undefined) {
    throw new Error("expected a tensor");
  }
  const withTensor = (tensor: Tensor) => mix({ tensors: new Map([...expert.tensors, [name, tensor]]) });
  const missing = new Map([...expert.tensors].slice(1));
  expect(mix({ tensors: missing })).toThrow(`experts: "lora-small": expected a tensor "${name}" [2, 16], got none`);
  expect(withTensor({ ...first, shape: [16, 2] })).toThrow(
    `experts: "lora-small": expected a tensor "${name}" [2, 16], got [16, 2]`,
  );
  expect(withTensor({ dtype: "float32", shape: first.shape, data: new Float32Array(32).fill(Number.NaN) })).toThrow(
    `experts: "lora-small": expected finite numbers, got NaN or infinity in "${name}"`,
  );
  expect(mix({ tensors: new Map([...expert.tensors, ["odd", first]]) })).toThrow(
    'experts: "lora-small": expected only the tensors of its configuration, got "odd"',
  );
  expect(() => mixExperts([expert, expert], points)).toThrow('experts: expected different ids, got "lora-small" twice');
  expect(() => mixExperts([expert], points, { perRow: 0 })).toThrow("perRow: expected an integer of 1 or more, got 0");
  const sides = [
    randomExpert("in", { kind: "ia3", config: { targets: ["wo"] } }, points),
    randomExpert("out", { kind: "ia3", config: { targets: ["wo"], feedForwardTargets: [] } }, points),
  ];
  expect(() => mixExperts(sides, points)).toThrow(/"out": expected ".*" to scale the input of its projection/);
});
