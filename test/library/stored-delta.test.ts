import { expect, test } from "vitest";
import type { DeltaConfig } from "../../src/experts/delta-config.js";
import { createDelta } from "../../src/experts/delta-config.js";
import { peftConfig } from "../../src/experts/peft.js";
import { checkStoredExpert, parseStoredDelta, type StoredExpert, storedDelta } from "../../src/experts/stored-delta.js";
import { initialTensors } from "../../src/models/initialize.js";
import { tensor } from "../../src/tensors/tensor.js";
import { readModel } from "../parity/fixture.js";

const { model, weights } = await readModel("v1_1");

function stored(delta: DeltaConfig | undefined): StoredExpert {
  return {
    manifest: { delta: storedDelta(delta) },
    tensors: delta === undefined ? weights : initialTensors(createDelta(delta, model.hookPoints).parameters, 1),
    adapterConfig: delta && peftConfig(delta, "base"),
  };
}

const lora: DeltaConfig = { kind: "lora", config: { rank: 2, alpha: 3, targets: ["q"] } };

test.each<[string, DeltaConfig | undefined]>([
  ["lora", lora],
  ["ia3", { kind: "ia3", config: {} }],
  ["bottleneck", { kind: "bottleneck", config: { width: 2 } }],
  ["full", undefined],
])("what is stored of %s is read again, defaults spelled out", (_, delta) => {
  const read = checkStoredExpert(stored(delta), { where: "expert", model });
  expect(read?.kind).toBe(delta?.kind);
  expect(storedDelta(read)).toEqual(storedDelta(delta));
  expect(read?.config ?? {}).toMatchObject(delta?.config ?? {});
});

test.each<[string, Partial<StoredExpert>, string]>([
  [
    "another alpha for PEFT",
    { adapterConfig: { ...stored(lora).adapterConfig, lora_alpha: 4 } },
    "expected lora_alpha 3 as the manifest says, found 4",
  ],
  ["no PEFT configuration", { adapterConfig: undefined }, "adapter_config.json: expected one, found none"],
  [
    "a PEFT configuration of a bottleneck",
    { manifest: { delta: { kind: "bottleneck", config: { width: 2 } } } },
    "expected none with this kind of delta",
  ],
  [
    "another rank",
    {
      manifest: { delta: storedDelta({ kind: "lora", config: { rank: 3, alpha: 3, targets: ["q"] } }) },
      adapterConfig: peftConfig({ kind: "lora", config: { rank: 3, alpha: 3, targets: ["q"] } }, ""),
    },
    "[3, 16], found [2, 16]",
  ],
  ["a missing tensor", { tensors: new Map([...stored(lora).tensors].slice(1)) }, "expected a tensor"],
  [
    "a foreign tensor",
    { tensors: new Map([...stored(lora).tensors, ["x", tensor("float32", [1], Float32Array.of(1))]]) },
    'found a tensor "x", which a delta of kind lora has not',
  ],
])("%s is refused", (_, change, message) => {
  expect(() => checkStoredExpert({ ...stored(lora), ...change }, { where: "expert", model })).toThrow(message);
});

test("a configuration that is none of its kind is refused", () => {
  expect(() => parseStoredDelta({ kind: "lora", config: { rank: 0, alpha: 1 } }, "expert")).toThrow(
    "expert: expected a configuration of the kind lora",
  );
});
