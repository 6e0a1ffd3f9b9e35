import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { at } from "../../src/core/at.js";
import { readJson } from "../../src/core/node/json.js";
import { type EncodedExample, IGNORED } from "../../src/mixtures/encoded-example.js";
import { layOutPacks } from "../../src/mixtures/pack.js";
import type { Model } from "../../src/models/model.js";
import type { PackedBatch } from "../../src/models/packed-batch.js";
import { parseT5Config, type T5Config, withWeights } from "../../src/models/t5/config.js";
import { createT5 } from "../../src/models/t5/t5.js";
import { parseSafetensors } from "../../src/tensors/safetensors.js";
import { hasDType, type Tensor } from "../../src/tensors/tensor.js";

/** `test/fixtures/t5`; tools/parity/README.md says what lies there and how it was made. */
export const FIXTURES = join(fileURLToPath(new URL("../fixtures/t5", import.meta.url)));

/** Named tensors. */
export type TensorMap = ReadonlyMap<string, Tensor>;

/** The tensors of a fixture file. */
export async function readTensors(file: string): Promise<TensorMap> {
  return parseSafetensors(await readFile(join(FIXTURES, file)), { where: file }).tensors;
}

/** A fixture model with its weights. */
export interface FixtureModel {
  readonly model: Model;
  readonly config: T5Config;
  readonly weights: TensorMap;
}

/** Reads a fixture model by one of the two forms of its configuration. */
export async function readModel(folder: string, configFile = "config.json"): Promise<FixtureModel> {
  const weights = await readTensors(`${folder}/model.safetensors`);
  const declared = parseT5Config(await readJson(join(FIXTURES, folder, configFile)));
  const config = withWeights(declared, { hasOutputProjection: weights.has("lm_head.weight") });
  return { model: createT5(config), config, weights };
}

/** The numbers of a float32 tensor. */
export function floatsOf(tensors: TensorMap, name: string): Float32Array {
  const found = tensors.get(name);
  if (found === undefined || !hasDType(found, "float32")) {
    throw new Error(`expected a float32 tensor ${name}, got ${found?.dtype ?? "none"}`);
  }
  return found.data;
}

/** The numbers of an int32 tensor. */
export function integersOf(tensors: TensorMap, name: string): Int32Array {
  const found = tensors.get(name);
  if (found === undefined || !hasDType(found, "int32")) {
    throw new Error(`expected an int32 tensor ${name}, got ${found?.dtype ?? "none"}`);
  }
  return found.data;
}

/** The rows of a `[..., columns]` int32 tensor. */
export function rowsOf(tensors: TensorMap, name: string): Int32Array[] {
  const data = integersOf(tensors, name);
  const columns = tensors.get(name)?.shape.at(-1) ?? 1;
  return Array.from({ length: data.length / columns }, (_, row) => data.slice(row * columns, (row + 1) * columns));
}

/** Input tokens of every row, without padding. */
export function inputRows(tensors: TensorMap, prefix = ""): Int32Array[] {
  const masks = rowsOf(tensors, `${prefix}attention_mask`);
  return rowsOf(tensors, `${prefix}input_ids`).map((ids, row) => ids.filter((_, index) => masks[row]?.[index] === 1));
}

/** Labels of every row up to the last one that counts; those amid a row may be ignored. */
export function labelRows(tensors: TensorMap, prefix = ""): Int32Array[] {
  return rowsOf(tensors, `${prefix}labels`).map((ids) => ids.slice(0, ids.findLastIndex((id) => id !== IGNORED) + 1));
}

/** The rows of a fixture batch as examples. */
export function examplesOf(tensors: TensorMap, prefix = ""): EncodedExample[] {
  const labels = labelRows(tensors, prefix);
  return inputRows(tensors, prefix).map((input, row) => ({ input, targets: [at(labels, row)], correct: 0 }));
}

/** A fixture batch, one example a pack, in the shape that the fixture has. */
export function batchOf(tensors: TensorMap, model: Model): PackedBatch {
  const [rows = 0, inputLength = 0] = tensors.get("input_ids")?.shape ?? [];
  const targetLength = tensors.get("labels")?.shape[1] ?? 0;
  const packs = examplesOf(tensors).map((example) => [example]);
  return layOutPacks(packs, { rows, inputLength, targetLength, sequences: 1 }, model.padId);
}

/** Largest difference, and the largest number of the reference. */
export function deviation(
  actual: ArrayLike<number>,
  reference: ArrayLike<number>,
): { readonly absolute: number; readonly relative: number } {
  expect(actual.length).toBe(reference.length);
  let absolute = 0;
  let largest = 0;
  for (let index = 0; index < reference.length; index++) {
    const difference = Math.abs(at(actual, index) - at(reference, index));
    absolute = difference > absolute || Number.isNaN(difference) ? difference : absolute;
    largest = Math.max(largest, Math.abs(at(reference, index)));
  }
  return { absolute, relative: absolute === 0 ? 0 : absolute / largest };
}

/** Demands that every number lies within `tolerance` of the reference. */
export function expectWithin(
  what: string,
  actual: ArrayLike<number>,
  reference: ArrayLike<number>,
  tolerance: number,
): void {
  const { absolute } = deviation(actual, reference);
  expect(absolute, what).toBeLessThanOrEqual(tolerance);
}

/** Demands that every number lies within `tolerance` times the reference's largest one. */
export function expectWithinRelative(
  what: string,
  actual: ArrayLike<number>,
  reference: ArrayLike<number>,
  tolerance: number,
): void {
  const { relative } = deviation(actual, reference);
  expect(relative, what).toBeLessThanOrEqual(tolerance);
}

/** Bits of a tensor, to be compared for equality. */
export function bytesOf({ data }: Tensor): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
