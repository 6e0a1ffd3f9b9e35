import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, test } from "vitest";
import { at } from "../core/at.js";
import { createRandom } from "../core/random.js";
import type { DeltaConfig } from "../experts/delta-config.js";
import { type LoraConfig, loraScale } from "../experts/lora.js";
import { parseSafetensors } from "../tensors/safetensors.js";
import { hasDType, type Tensor } from "../tensors/tensor.js";
import { type MergedExpert, mergeExperts } from "./merge-experts.js";

// Made by tools/parity/merging.py with peft 0.21.2.
const fixture = fileURLToPath(new URL("../../test/fixtures/merging/peft.safetensors", import.meta.url));
const reference = parseSafetensors(await readFile(fixture), { where: fixture }).tensors;

function referenceTensors(prefix: string): Map<string, Tensor> {
  const found = [...reference].filter(([name]) => name.startsWith(prefix));
  expect(found.length).toBeGreaterThan(0);
  return new Map(found.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

function numbers(tensors: ReadonlyMap<string, Tensor>, name: string): number[] {
  const tensor = tensors.get(name);
  if (tensor === undefined || !hasDType(tensor, "float32")) {
    throw new Error(`expected a float32 tensor "${name}"`);
  }
  return Array.from(tensor.data);
}

function expectClose(found: ReadonlyMap<string, Tensor>, expected: ReadonlyMap<string, Tensor>): void {
  expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [name, { shape }] of expected) {
    expect(found.get(name)?.shape, name).toEqual(shape);
    const own = numbers(found, name);
    numbers(expected, name).forEach((value, index) => {
      expect(Math.abs(at(own, index) - value), `${name} ${index}`).toBeLessThanOrEqual(
        1e-6 * Math.max(1, Math.abs(value)),
      );
    });
  }
}

const targets = ["q", "wo"];
const peftLoras: readonly MergedExpert[] = [
  {
    id: "one",
    delta: { kind: "lora", config: { rank: 2, alpha: 3, targets } },
    tensors: referenceTensors("lora/one/"),
    weight: 0.75,
  },
  {
    id: "two",
    delta: { kind: "lora", config: { rank: 2, alpha: 4, rankStabilized: true, targets } },
    tensors: referenceTensors("lora/two/"),
    weight: -0.5,
  },
  {
    id: "wide",
    delta: { kind: "lora", config: { rank: 3, alpha: 6, targets } },
    tensors: referenceTensors("lora/wide/"),
    weight: 0.25,
  },
];

test("LoRA experts merge as PEFT's linear and cat, whatever their scales, ranks and signs", () => {
  const linear = mergeExperts(peftLoras.slice(0, 2), { lora: "linear" });
  expectClose(linear.tensors, referenceTensors("lora/linear/"));
  expect(linear.delta).toEqual({ kind: "lora", config: { rank: 2, alpha: 2, targets } });
  const cat = mergeExperts(peftLoras);
  expectClose(cat.tensors, referenceTensors("lora/cat/"));
  expect(cat.delta).toEqual({ kind: "lora", config: { rank: 7, alpha: 7, targets } });
});

test("(IA)³ experts merge as PEFT's weighted adapter where weights add up to 1", () => {
  const delta: DeltaConfig = { kind: "ia3", config: { targets, feedForwardTargets: ["wo"] } };
  const merged = mergeExperts([
    { id: "one", delta, tensors: referenceTensors("ia3/one/"), weight: 0.25 },
    { id: "two", delta, tensors: referenceTensors("ia3/two/"), weight: 0.75 },
  ]);
  expectClose(merged.tensors, referenceTensors("ia3/mean/"));
  expect(merged.delta).toEqual(delta);
});

const INPUTS = 4;
const OUTPUTS = 3;

function randomLora(
  seed: number,
  config: Omit<LoraConfig, "targets">,
): { delta: DeltaConfig; tensors: Map<string, Tensor> } {
  const random = createRandom(seed);
  const draw = (shape: readonly [number, number]): Tensor => ({
    dtype: "float32",
    shape,
    data: Float32Array.from({ length: shape[0] * shape[1] }, () => random.nextNormal()),
  });
  return {
    delta: { kind: "lora", config: { ...config, targets: ["q"] } },
    tensors: new Map([
      ["a.q.lora_A.weight", draw([config.rank, INPUTS])],
      ["a.q.lora_B.weight", draw([OUTPUTS, config.rank])],
    ]),
  };
}

/** `scale · B A`, element by element. */
function product({ delta, tensors }: Pick<MergedExpert, "delta" | "tensors">): number[] {
  if (delta?.kind !== "lora") {
    throw new Error("expected a lora");
  }
  const { rank } = delta.config;
  const a = numbers(tensors, "a.q.lora_A.weight");
  const b = numbers(tensors, "a.q.lora_B.weight");
  const element = (row: number, column: number): number => {
    let sum = 0;
    for (let inner = 0; inner < rank; inner++) {
      sum += at(b, row * rank + inner) * at(a, inner * INPUTS + column);
    }
    return loraScale(delta.config) * sum;
  };
  return Array.from({ length: OUTPUTS * INPUTS }, (_, index) => element(Math.floor(index / INPUTS), index % INPUTS));
}

test("cat is the weighted sum of the products, up to rounding", () => {
  const part = fc.record({
    seed: fc.nat(),
    rank: fc.integer({ min: 1, max: 5 }),
    alpha: fc.integer({ min: 1, max: 32 }),
    rankStabilized: fc.boolean(),
    weight: fc.float({ min: -2, max: 2, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
      const experts = parts.map(({ seed, weight, ...config }, index) => ({
        id: `${index}`,
        weight,
        ...randomLora(seed, config),
      }));
      const found = product(mergeExperts(experts));
      const products = experts.map(product);
      found.forEach((value, index) => {
        const terms = experts.map(({ weight }, expert) => weight * at(at(products, expert), index));
        const sum = terms.reduce((total, term) => total + term, 0);
        const size = terms.reduce((total, term) => total + Math.abs(term), 0);
        // Cancellation inside one product, of numbers near one, beside that between products.
        expect(Math.abs(value - sum)).toBeLessThanOrEqual(1e-4 * (size + 32));
      });
    }),
    { numRuns: 60 },
  );
});

test("a mean of factors is not the mean of products", () => {
  const experts = [1, 2].map((seed) => ({ id: `${seed}`, ...randomLora(seed, { rank: 2, alpha: 2 }) }));
  const [first = [], second = []] = experts.map(product);
  const mean = first.map((value, index) => (value + at(second, index)) / 2);
  const distance = (found: readonly number[]) =>
    Math.max(...found.map((value, index) => Math.abs(value - at(mean, index))));
  expect(distance(product(mergeExperts(experts)))).toBeLessThan(1e-6);
  expect(distance(product(mergeExperts(experts, { lora: "linear" })))).toBeGreaterThan(0.1);
});

function vector(...values: number[]): Tensor {
  return { dtype: "float32", shape: [values.length], data: Float32Array.from(values) };
}

function bottleneckExpert(id: string, values: readonly number[]): MergedExpert {
  const tensors = new Map([
    ["adapter.up.bias", vector(...values)],
    ["layer_norm.weight", vector(...values.map((value) => value + 1))],
  ]);
  return { id, delta: { kind: "bottleneck", config: { width: 2 } }, tensors };
}

test("bottleneck experts merge to ELM's uniform mean of every tensor", () => {
  const merged = mergeExperts([
    bottleneckExpert("a", [1, 2, 3]),
    bottleneckExpert("b", [4, 4, 4]),
    bottleneckExpert("c", [-2, 0, 2]),
  ]);
  expect(numbers(merged.tensors, "adapter.up.bias")).toEqual([1, 2, 3]);
  expect(numbers(merged.tensors, "layer_norm.weight")).toEqual([2, 3, 4]);
  expect(merged.delta).toEqual({ kind: "bottleneck", config: { width: 2 } });
});

test("merging copies of an expert gives it again, however many they are", () => {
  const values = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 });
  fc.assert(
    fc.property(values, fc.integer({ min: 1, max: 7 }), (given, copies) => {
      const expert = bottleneckExpert("a", given);
      const { tensors } = mergeExperts(Array.from({ length: copies }, () => expert));
      // Adding 0 makes one zero of the two.
      expect(numbers(tensors, "adapter.up.bias").map((value) => value + 0)).toEqual(given.map((value) => value + 0));
    }),
    { numRuns: 60 },
  );
});

function fullExpert(id: string, values: readonly number[], weight?: number): MergedExpert {
  return {
    id,
    delta: undefined,
    tensors: new Map([["w", vector(...values)]]),
    ...(weight === undefined ? {} : { weight }),
  };
}

test("fully trained experts merge by task vectors; a mean needs no base", () => {
  const base = new Map([["w", vector(10, 20)]]);
  const experts = [fullExpert("a", [11, 20], 0.5), fullExpert("b", [10, 24], 0.75)];
  const merged = mergeExperts(experts, { base });
  expect(numbers(merged.tensors, "w")).toEqual([10.5, 23]);
  expect(merged.delta).toBeUndefined();
  expect(() => mergeExperts(experts)).toThrow(
    expect.objectContaining({ code: "invalid-argument", message: expect.stringMatching(/give base/) }),
  );
  expect(numbers(mergeExperts([fullExpert("a", [11, 20]), fullExpert("b", [13, 24])]).tensors, "w")).toEqual([12, 22]);
});

test("(IA)³ vectors move from 1 where weights do not add up to 1, as in rows with weighted experts", () => {
  const delta: DeltaConfig = { kind: "ia3", config: { targets: ["k"], feedForwardTargets: [] } };
  const expert = (id: string, values: readonly number[], weight: number): MergedExpert => ({
    id,
    delta,
    weight,
    tensors: new Map([["k.ia3_l", vector(...values)]]),
  });
  const { tensors } = mergeExperts([expert("a", [1.5, 1], 0.5), expert("b", [1, 3], 0.25)]);
  expect(numbers(tensors, "k.ia3_l")).toEqual([1.25, 1.5]);
});

test("half precision tensors are read, merged ones are float32", () => {
  const half: Tensor = { dtype: "float16", shape: [1], data: Uint16Array.of(0x3c00) };
  const { tensors } = mergeExperts([{ id: "a", delta: undefined, tensors: new Map([["w", half]]) }]);
  expect(tensors.get("w")).toEqual({ dtype: "float32", shape: [1], data: Float32Array.of(1) });
});

const lora = randomLora(1, { rank: 2, alpha: 2 });
test.each<[string, readonly MergedExpert[], string, RegExp]>([
  ["no experts", [], "invalid-argument", /at least one expert/],
  ["a weight", [fullExpert("a", [1], Number.NaN)], "invalid-argument", /finite weight of "a"/],
  ["kinds", [fullExpert("a", [1]), bottleneckExpert("b", [1])], "mismatch", /"a" \(full\) and "b" \(bottleneck\)/],
  [
    "shapes",
    [fullExpert("a", [1]), fullExpert("b", [1, 2])],
    "mismatch",
    /"w": expected one shape, got \[1\] of "a" and \[2\] of "b"/,
  ],
  [
    "names",
    [fullExpert("a", [1]), { id: "b", delta: undefined, tensors: new Map([["v", vector(1)]]) }],
    "mismatch",
    /got "w" of "a" and none of "b"/,
  ],
  [
    "foreign names",
    [
      fullExpert("a", [1]),
      {
        id: "b",
        delta: undefined,
        tensors: new Map([
          ["w", vector(1)],
          ["v", vector(1)],
        ]),
      },
    ],
    "mismatch",
    /got "v" of "b" and none of "a"/,
  ],
  [
    "configurations",
    [
      bottleneckExpert("a", [1]),
      { ...bottleneckExpert("b", [1]), delta: { kind: "bottleneck", config: { width: 3 } } },
    ],
    "mismatch",
    /one configuration, got .*2.* of "a" and .*3.* of "b"/,
  ],
  ["weights", [{ ...bottleneckExpert("a", [1]), weight: 0.9 }], "unsupported", /add up to 1, got 0.9/],
  ["NaN", [fullExpert("a", [1]), fullExpert("b", [Number.NaN])], "non-finite", /"b", got NaN or infinity in "w"/],
  [
    "LoRA targets",
    [
      { id: "a", ...lora },
      { id: "b", ...lora, delta: { kind: "lora", config: { rank: 2, alpha: 2, targets: ["v"] } } },
    ],
    "mismatch",
    /same targets, got q of "a" and v of "b"/,
  ],
  [
    "a rank that is not the configuration's",
    [{ id: "a", ...lora, delta: { kind: "lora", config: { rank: 3, alpha: 2, targets: ["q"] } } }],
    "mismatch",
    /of rank 3 as in its configuration, got \[2, 4\]/,
  ],
  [
    "LoRA on another width",
    [
      { id: "a", ...lora },
      {
        id: "b",
        delta: lora.delta,
        tensors: new Map([
          ...lora.tensors,
          ["a.q.lora_A.weight", { dtype: "float32", shape: [2, 5], data: new Float32Array(10) }],
        ]),
      },
    ],
    "mismatch",
    /"a.q.lora_A.weight": expected one size beside the rank, got 4 and 5/,
  ],
])("%s that do not fit are refused", (_, experts, code, message) => {
  expect(() => mergeExperts(experts)).toThrow(
    expect.objectContaining({ code, message: expect.stringMatching(message) }),
  );
});

test("linear refuses different ranks and names the way out", () => {
  const experts = [
    { id: "a", ...lora },
    { id: "b", ...randomLora(2, { rank: 3, alpha: 2 }) },
  ];
  expect(() => mergeExperts(experts, { lora: "linear" })).toThrow(
    /same rank \(or cat instead of linear\), got 2 of "a" and 3 of "b"/,
  );
});
