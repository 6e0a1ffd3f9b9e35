import { type FileHandle, open, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { CadreError } from "../../core/errors.js";
import { writeFileAtomic } from "../../core/node/atomic-write.js";
import { wrapSystemError } from "../../core/node/system-error.js";
import { parseHeaderLength, parseSafetensorsHeader } from "../safetensors.js";
import { LENGTH_BYTES } from "../safetensors-format.js";
import { type SafetensorsMetadata, serializeSafetensorsHeader } from "../safetensors-serialize.js";
import type { Tensor } from "../tensor.js";
import { bytesOfTensor, tensorFromBytes } from "../tensor-bytes.js";
import type { TensorLocation, TensorSource } from "../tensor-source.js";

/** Bytes asked of one read call; Node refuses 2 GiB and more. */
const MAX_READ_BYTES = 1 << 28;

/**
 * Opens a safetensors file, reading and checking its header only.
 * @throws CadreError `not-found`, `invalid-file`, `unsupported` (see `parseSafetensorsHeader`), `io`.
 * @example
 * await using file = await openSafetensors("model.safetensors");
 * const weight = await file.read("shared.weight");
 */
export async function openSafetensors(path: string): Promise<TensorSource> {
  const absolute = resolve(path);
  const file = await openFile(absolute);
  try {
    const { size } = await file.stat();
    const prefix = await readBytes(file, { path: absolute, offset: 0, length: Math.min(size, LENGTH_BYTES) });
    const length = parseHeaderLength(prefix, size, { where: absolute });
    const bytes = await readBytes(file, { path: absolute, offset: LENGTH_BYTES, length });
    const header = parseSafetensorsHeader(bytes, size, { where: absolute });
    const tensors = new Map<string, TensorLocation>();
    for (const [name, entry] of header.tensors) tensors.set(name, { ...entry, path: absolute });
    return createSource({ file, path: absolute, metadata: header.metadata, tensors });
  } catch (error) {
    await file.close();
    throw wrapSystemError(error, `cannot read ${absolute}`);
  }
}

/**
 * Writes a safetensors file, atomically, one tensor at a time; see `serializeSafetensorsHeader` for the order. The folder
 * must exist.
 * @throws CadreError `invalid-argument` for bad names, `not-found`, `io`.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: SafetensorsMetadata = {},
): Promise<void> {
  const entries = [...tensors];
  const header = serializeSafetensorsHeader(entries, metadata);
  await writeFileAtomic(path, chunksOf(header, new Map(entries)));
}

function* chunksOf(
  header: { readonly bytes: Uint8Array; readonly names: readonly string[] },
  tensors: ReadonlyMap<string, Tensor>,
): Iterable<Uint8Array> {
  yield header.bytes;
  for (const name of header.names) {
    const value = tensors.get(name);
    if (value === undefined) throw new CadreError("internal", `safetensors: ${name} was lost`);
    yield bytesOfTensor(value);
  }
}

interface OpenFile {
  readonly file: FileHandle;
  readonly path: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, TensorLocation>;
}

function createSource({ file, path, metadata, tensors }: OpenFile): TensorSource {
  let closing: Promise<void> | undefined;

  async function read(name: string): Promise<Tensor> {
    if (closing !== undefined) throw new CadreError("closed", `${path}: read after close`);
    const location = tensors.get(name);
    if (location === undefined) {
      throw new CadreError("not-found", `${path}: no tensor ${JSON.stringify(name)}`, { details: { path, name } });
    }
    const { dtype, shape } = location;
    return tensorFromBytes(dtype, shape, await readBytes(file, location), {
      where: `${path}: ${JSON.stringify(name)}`,
    });
  }

  function close(): Promise<void> {
    closing ??= file.close();
    return closing;
  }

  return { path, metadata, tensors, read, close, [Symbol.asyncDispose]: close };
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    // Asked before opening, because opening a named pipe would wait for its writer.
    if (!(await stat(path)).isFile()) throw new CadreError("invalid-file", `${path}: expected a file`);
    return await open(path, "r");
  } catch (error) {
    throw wrapSystemError(error, `cannot open ${path}`);
  }
}

interface ReadRange {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

/** Reads a range of a file whose size has been checked, so that a lying header never asks for more than the file has. */
async function readBytes(file: FileHandle, { path, offset, length }: ReadRange): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(length);
  } catch (cause) {
    throw new CadreError("out-of-memory", `${path}: cannot hold ${length} bytes in one buffer`, { cause });
  }
  let done = 0;
  while (done < length) {
    const wanted = Math.min(length - done, MAX_READ_BYTES);
    let bytesRead: number;
    try {
      ({ bytesRead } = await file.read(bytes, done, wanted, offset + done));
    } catch (error) {
      throw wrapSystemError(error, `cannot read ${path}`);
    }
    if (bytesRead === 0) {
      throw new CadreError(
        "invalid-file",
        `${path}: expected ${length} bytes at ${offset}, found ${done}: it has shrunk`,
      );
    }
    done += bytesRead;
  }
  return bytes;
}
