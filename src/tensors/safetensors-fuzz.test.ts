/**
 * Mutated files: each must give a named error or tensors that agree with the file. CADRE_FUZZ sets the number of files
 * (default 4,000), CADRE_FUZZ_SEED the seed (default 1).
 */
import { expect, test } from "vitest";
import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { createRandom, type Random } from "../core/random.js";
import { bytesPerElement, DTYPES } from "./dtype.js";
import { parseSafetensors, serializeSafetensors } from "./safetensors.js";
import { elementCount, zeros } from "./tensor.js";
import { bytesOfTensor } from "./tensor-bytes.js";

const COUNT = Number(process.env.CADRE_FUZZ ?? 4000);
const SEED = Number(process.env.CADRE_FUZZ_SEED ?? 1);

const FRAGMENTS = [
  ...["{", "}", "[", "]", ",", ":", '"', "\\", " ", "\0", "\uFEFF", "é", "\\ud800", "-", "-0", "1e400", "1.5", "null"],
  ...["18446744073709551615", "9007199254740993", "4294967296", "-1", '"__proto__"', '"__metadata__"', '{"a":1}'],
  ...['"dtype"', '"shape"', '"data_offsets"', '"F32"', '"F8_E4M3"', "[0,0]", "[".repeat(500), '"x":{},'],
];

function baseFile(random: Random): Uint8Array {
  const names = random.shuffle(["a", "b.weight", "", "__proto__", "é"]).slice(0, random.nextInteger(5));
  const tensors = names.map((name) => {
    const shape = Array.from({ length: random.nextInteger(3) }, () => random.nextInteger(4));
    return [name, zeros(at(DTYPES, random.nextInteger(DTYPES.length)), shape)] as const;
  });
  return serializeSafetensors(tensors, random.nextInteger(2) === 0 ? {} : { format: "pt" });
}

function flipBytes(bytes: Uint8Array, random: Random): Uint8Array {
  const result = bytes.slice();
  for (let turn = random.nextInteger(4); turn >= 0 && result.length > 0; turn -= 1) {
    const index = random.nextInteger(result.length);
    result[index] = at(result, index) ^ (1 << random.nextInteger(8));
  }
  return result;
}

function changeSize(bytes: Uint8Array, random: Random): Uint8Array {
  if (random.nextInteger(2) === 0) return bytes.slice(0, random.nextInteger(bytes.length + 1));
  const result = new Uint8Array(bytes.length + 1 + random.nextInteger(20));
  result.set(bytes);
  return result;
}

function editLength(bytes: Uint8Array, random: Random): Uint8Array {
  const result = bytes.slice();
  const length = new DataView(result.buffer).getBigUint64(0, true);
  const changed = [length + 1n, length - 1n, 0n, 1n, 2n ** 63n, 100_000_000n, BigInt(random.nextUint32())];
  new DataView(result.buffer).setBigUint64(0, BigInt.asUintN(64, at(changed, random.nextInteger(7))), true);
  return result;
}

/** Replaces a piece of the header's JSON by a fragment or another piece of it, and mends the length. */
function editHeader(bytes: Uint8Array, random: Random): Uint8Array {
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = new TextDecoder().decode(bytes.subarray(8, 8 + length));
  const place = random.nextInteger(header.length + 1);
  const dropped = random.nextInteger(2) === 0 ? 0 : random.nextInteger(12);
  const from = random.nextInteger(header.length + 1);
  const own = header.slice(from, from + random.nextInteger(60));
  const piece = random.nextInteger(3) === 0 ? own : at(FRAGMENTS, random.nextInteger(FRAGMENTS.length));
  return replaceHeader(bytes, header.slice(0, place) + piece + header.slice(place + dropped));
}

/** Replaces one number of the header, which keeps it well formed and so reaches the deeper checks. */
function editNumber(bytes: Uint8Array, random: Random): Uint8Array {
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = new TextDecoder().decode(bytes.subarray(8, 8 + length));
  const numbers = [...header.matchAll(/(?<=[[,])[0-9]+(?=[\],])/g)];
  if (numbers.length === 0) return flipBytes(bytes, random);
  const chosen = at(numbers, random.nextInteger(numbers.length));
  const values = [
    String(random.nextInteger(40)),
    "0",
    "4294967296",
    "9007199254740991",
    "1e15",
    "-0",
    "0.0",
    "1,1",
    "0,0",
  ];
  const end = chosen.index + chosen[0].length;
  const value = at(values, random.nextInteger(values.length));
  return replaceHeader(bytes, header.slice(0, chosen.index) + value + header.slice(end));
}

function replaceHeader(bytes: Uint8Array, header: string): Uint8Array {
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const json = new TextEncoder().encode(header);
  const data = bytes.subarray(8 + length);
  const result = new Uint8Array(8 + json.length + data.length);
  new DataView(result.buffer).setBigUint64(0, BigInt(json.length), true);
  result.set(json, 8);
  result.set(data, 8 + json.length);
  return result;
}

const MUTATIONS = [flipBytes, changeSize, editLength, editHeader, editHeader, editNumber, editNumber];

/** Checks the promises of a parsed file against its bytes; the sum of sizes bounds what was allocated. */
function checkConsistent(bytes: Uint8Array, { tensors }: ReturnType<typeof parseSafetensors>): void {
  const headerLength = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  let total = 8 + headerLength;
  for (const [name, value] of tensors) {
    expect(typeof name).toBe("string");
    expect(value.data.length).toBe(elementCount(value.shape));
    const own = bytesOfTensor(value);
    expect(own.length).toBe(value.data.length * bytesPerElement(value.dtype));
    expect(own).toEqual(bytes.slice(total, total + own.length));
    total += own.length;
  }
  expect(total).toBe(bytes.length);
}

test(`${COUNT} mutated files give a named error or a consistent result`, { timeout: 600_000 }, () => {
  const outcomes = { parsed: 0, "invalid-file": 0, unsupported: 0 };
  for (let index = 0; index < COUNT; index += 1) {
    const random = createRandom(SEED, index);
    const mutate = at(MUTATIONS, random.nextInteger(MUTATIONS.length));
    const bytes = mutate(baseFile(random), random);
    try {
      checkConsistent(bytes, parseSafetensors(bytes));
      outcomes.parsed += 1;
    } catch (error) {
      const known = CadreError.isInstance(error) && (error.code === "invalid-file" || error.code === "unsupported");
      if (!known) throw new Error(`file ${index} of seed ${SEED}`, { cause: error });
      expect(error.message.length).toBeLessThan(2000);
      outcomes[error.code === "unsupported" ? "unsupported" : "invalid-file"] += 1;
    }
  }
  // The mutations must reach both sides, or the test would say nothing.
  expect(outcomes.parsed).toBeGreaterThan(COUNT / 50);
  expect(outcomes["invalid-file"]).toBeGreaterThan(COUNT / 4);
});
