/**
 * Reading safetensors headers. The bytes are hostile until proven otherwise: nothing is allocated by a size that the file
 * only claims, and every fault is a CadreError `invalid-file` that says where, what was expected and what was found.
 */
import { CadreError } from "../core/errors.js";
import { findJsonProblem } from "../core/json-check.js";
import { bytesPerElement, type DType } from "./dtype.js";
import {
  hasLoneSurrogate,
  LENGTH_BYTES,
  MAX_HEADER_BYTES,
  MAX_RANK,
  METADATA_KEY,
  MIN_HEADER_BYTES,
  SAFETENSORS_DTYPES,
  type SafetensorsEntry,
  type SafetensorsHeader,
  UNSUPPORTED_SAFETENSORS_DTYPES,
} from "./safetensors-format.js";
import type { Tensor } from "./tensor.js";
import { elementCount } from "./tensor.js";
import { tensorFromBytes } from "./tensor-bytes.js";

export type { SafetensorsEntry, SafetensorsHeader } from "./safetensors-format.js";
export { serializeSafetensors, serializeSafetensorsHeader } from "./safetensors-serialize.js";

/** Options of the parsing functions. */
export interface SafetensorsParseOptions {
  /** What messages call the file; default `safetensors`. */
  readonly where?: string;
}

/**
 * The length of the header's JSON in bytes.
 * @param prefix the first 8 bytes of the file, or all of a shorter one
 * @param fileLength bytes of the whole file
 * @throws CadreError `invalid-file`.
 */
export function parseHeaderLength(
  prefix: Uint8Array,
  fileLength: number,
  options: SafetensorsParseOptions = {},
): number {
  const where = options.where ?? "safetensors";
  if (prefix.length < LENGTH_BYTES || fileLength < LENGTH_BYTES) {
    throw invalid(where, `${LENGTH_BYTES} bytes of header length`, `a file of ${fileLength} bytes`);
  }
  const view = new DataView(prefix.buffer, prefix.byteOffset, LENGTH_BYTES);
  const length = view.getBigUint64(0, true);
  if (length < MIN_HEADER_BYTES || length > MAX_HEADER_BYTES) {
    throw invalid(where, `a header of ${MIN_HEADER_BYTES} to ${MAX_HEADER_BYTES} bytes`, `${length} bytes`);
  }
  const available = fileLength - LENGTH_BYTES;
  if (Number(length) > available) {
    throw invalid(where, `a header of ${length} bytes`, `only ${available} bytes: the file is truncated`);
  }
  return Number(length);
}

/**
 * Parses and checks a header. The tensors cover the data without holes or overlaps, and end with the file.
 * @param bytes the header's JSON
 * @param fileLength bytes of the whole file
 * @throws CadreError `invalid-file`; `unsupported` for a dtype that the format knows and Cadre does not read.
 */
export function parseSafetensorsHeader(
  bytes: Uint8Array,
  fileLength: number,
  options: SafetensorsParseOptions = {},
): SafetensorsHeader {
  const where = options.where ?? "safetensors";
  const dataStart = LENGTH_BYTES + bytes.length;
  const dataLength = fileLength - dataStart;
  let metadata: ReadonlyMap<string, string> = new Map();
  const entries: (readonly [string, SafetensorsEntry])[] = [];
  for (const [name, value] of Object.entries(parseObject(bytes, where))) {
    const place = `${where}: ${JSON.stringify(shorten(name))}`;
    if (hasLoneSurrogate(name)) throw invalid(place, "a name of whole characters", "half a surrogate pair");
    if (name === METADATA_KEY) metadata = parseMetadata(value, place);
    else entries.push([name, parseEntry(value, { place, dataStart, dataLength })]);
  }
  entries.sort(([, left], [, right]) => left.offset - right.offset || left.length - right.length);
  let end = dataStart;
  for (const [name, { offset, length }] of entries) {
    if (offset !== end) {
      const fault = offset < end ? "an overlap with the tensor before it" : `a hole of ${offset - end} bytes before it`;
      throw invalid(`${where}: ${JSON.stringify(shorten(name))}`, `data from byte ${end - dataStart}`, fault);
    }
    end = offset + length;
  }
  if (end !== fileLength) {
    throw invalid(where, `${end - dataStart} bytes of data`, `${dataLength} bytes`);
  }
  return { metadata, tensors: new Map(entries) };
}

/**
 * Reads all tensors of a file held in memory. Their data shares the file's memory where its alignment allows.
 * @throws CadreError as {@link parseSafetensorsHeader}.
 */
export function parseSafetensors(
  bytes: Uint8Array,
  options: SafetensorsParseOptions = {},
): { readonly metadata: ReadonlyMap<string, string>; readonly tensors: ReadonlyMap<string, Tensor> } {
  const headerLength = parseHeaderLength(bytes, bytes.length, options);
  const headerBytes = bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + headerLength);
  const header = parseSafetensorsHeader(headerBytes, bytes.length, options);
  const tensors = new Map<string, Tensor>();
  for (const [name, { dtype, shape, offset, length }] of header.tensors) {
    const where = `${options.where ?? "safetensors"}: ${JSON.stringify(shorten(name))}`;
    tensors.set(name, tensorFromBytes(dtype, shape, bytes.subarray(offset, offset + length), { where }));
  }
  return { metadata: header.metadata, tensors };
}

function parseObject(bytes: Uint8Array, where: string): object {
  if (bytes[0] !== "{".charCodeAt(0)) throw invalid(where, 'a header that begins with "{"', "another byte");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw invalid(where, "a header in UTF-8", "bytes that are not", { cause });
  }
  const problem = findJsonProblem(text);
  if (problem !== undefined) {
    throw invalid(`${where}: header, character ${problem.position}`, "JSON with unique names", problem.message);
  }
  const value: unknown = JSON.parse(text);
  if (!isPlainObject(value)) throw invalid(where, "a header that is an object", kindOf(value));
  return value;
}

function parseMetadata(value: unknown, place: string): ReadonlyMap<string, string> {
  if (!isPlainObject(value)) throw invalid(place, "an object of texts", kindOf(value));
  const metadata = new Map<string, string>();
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") throw invalid(`${place}.${JSON.stringify(shorten(key))}`, "a text", kindOf(text));
    if (hasLoneSurrogate(key) || hasLoneSurrogate(text)) {
      throw invalid(`${place}.${JSON.stringify(shorten(key))}`, "whole characters", "half a surrogate pair");
    }
    metadata.set(key, text);
  }
  return metadata;
}

interface EntryContext {
  readonly place: string;
  readonly dataStart: number;
  readonly dataLength: number;
}

function parseEntry(value: unknown, { place, dataStart, dataLength }: EntryContext): SafetensorsEntry {
  if (!isPlainObject(value)) throw invalid(place, "an object with dtype, shape and data_offsets", kindOf(value));
  const dtype = parseDType("dtype" in value ? value.dtype : undefined, place);
  const shape = parseIntegers("shape" in value ? value.shape : undefined, `${place}: shape`, MAX_RANK);
  const offsets = parseIntegers("data_offsets" in value ? value.data_offsets : undefined, `${place}: data_offsets`, 2);
  const [begin, end] = offsets;
  if (begin === undefined || end === undefined) {
    throw invalid(`${place}: data_offsets`, "two integers", `${offsets.length}`);
  }
  if (begin > end) throw invalid(`${place}: data_offsets`, "a begin before the end", `[${begin}, ${end}]`);
  if (end > dataLength) {
    throw invalid(`${place}: data_offsets`, `an end within ${dataLength} bytes of data`, `${end}: truncated file?`);
  }
  const length = byteLengthOf(dtype, shape, place);
  if (end - begin !== length) {
    throw invalid(place, `${length} bytes for ${dtype} [${shape}]`, `${end - begin} bytes in data_offsets`);
  }
  return { dtype, shape, offset: dataStart + begin, length };
}

function parseDType(value: unknown, place: string): DType {
  const dtype = typeof value === "string" ? SAFETENSORS_DTYPES.get(value) : undefined;
  if (dtype !== undefined) return dtype;
  const expected = `one of ${[...SAFETENSORS_DTYPES.keys()].join(", ")}`;
  const found = typeof value === "string" ? JSON.stringify(shorten(value)) : kindOf(value);
  if (typeof value === "string" && UNSUPPORTED_SAFETENSORS_DTYPES.has(value)) {
    throw new CadreError("unsupported", `${place}: dtype: Cadre reads ${expected}, not ${value}`);
  }
  throw invalid(`${place}: dtype`, expected, found);
}

function parseIntegers(value: unknown, place: string, maxLength: number): readonly number[] {
  if (!Array.isArray(value)) throw invalid(place, "an array of integers", kindOf(value));
  if (value.length > maxLength) throw invalid(place, `at most ${maxLength} integers`, `${value.length}`);
  return value.map((item: unknown) => {
    // Negative zero would pass the other tests and then break comparisons by identity.
    if (typeof item !== "number" || !Number.isSafeInteger(item) || item < 0 || Object.is(item, -0)) {
      const found = typeof item === "number" ? `${Object.is(item, -0) ? "-0" : item}` : kindOf(item);
      throw invalid(place, "integers from 0 to 2^53 - 1", found);
    }
    return item;
  });
}

function byteLengthOf(dtype: DType, shape: readonly number[], place: string): number {
  let bytes = Number.NaN;
  try {
    bytes = elementCount(shape) * bytesPerElement(dtype);
  } catch (cause) {
    throw invalid(`${place}: shape`, "fewer than 2^53 elements", `[${shape}]`, { cause });
  }
  if (!Number.isSafeInteger(bytes)) throw invalid(`${place}: shape`, "fewer than 2^53 bytes", `[${shape}]`);
  return bytes;
}

function isPlainObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : `a value of type ${typeof value}`;
}

function shorten(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

function invalid(where: string, expected: string, found: string, options: { cause?: unknown } = {}): CadreError {
  const details = { where, expected, found };
  return new CadreError("invalid-file", `${where}: expected ${expected}, found ${found}`, { ...options, details });
}
