import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CadreError } from "../../core/errors.js";
import { readJson } from "../../core/node/json.js";
import { systemCodeOf, wrapSystemError } from "../../core/node/system-error.js";
import type { Tensor } from "../tensor.js";
import type { TensorLocation, TensorSource } from "../tensor-source.js";
import { openSafetensors } from "./safetensors-file.js";

const SINGLE_FILE = "model.safetensors";
const INDEX_FILE = "model.safetensors.index.json";
const PICKLE_FILES = ["pytorch_model.bin", "pytorch_model.bin.index.json"];

/** Most files of one model; each is held open. */
export const MAX_SHARDS = 512;

const CONVERSION =
  'python3 -c "import torch; from safetensors.torch import save_file; ' +
  "w = torch.load('pytorch_model.bin', map_location='cpu', weights_only=True); " +
  "save_file({k: v.clone().contiguous() for k, v in w.items()}, 'model.safetensors', metadata={'format': 'pt'})\"";

/**
 * Opens the weights in a model's folder: `model.safetensors`, or the files that `model.safetensors.index.json` names. The
 * texts of several files are those on which all agree. Tensors of a file that the index does not list are left out.
 * @throws CadreError `not-found` when the folder has no weights, `unsupported` when it has pickled ones, `invalid-file` for
 * a broken file or an index that names paths outside the folder, absent files or absent tensors, or under which two files
 * hold the same tensor.
 */
export async function openWeights(folder: string): Promise<TensorSource> {
  const root = resolve(folder);
  if (await exists(join(root, SINGLE_FILE))) return openSafetensors(join(root, SINGLE_FILE));
  if (await exists(join(root, INDEX_FILE))) return openShards(root);
  for (const name of PICKLE_FILES) {
    if (await exists(join(root, name))) {
      throw new CadreError(
        "unsupported",
        `${join(root, name)}: a pickle can run any code when it is loaded, so Cadre reads safetensors only. ` +
          `If you trust it, convert it in its folder: ${CONVERSION}`,
        { details: { path: join(root, name) } },
      );
    }
  }
  throw new CadreError("not-found", `${root}: expected ${SINGLE_FILE} or ${INDEX_FILE}, found neither`, {
    details: { path: root },
  });
}

async function openShards(root: string): Promise<TensorSource> {
  const indexPath = join(root, INDEX_FILE);
  const weightMap = parseWeightMap(await readJson(indexPath, { uniqueKeys: true }), indexPath);
  const shardNames = [...new Set(weightMap.values())].sort();
  if (shardNames.length > MAX_SHARDS) {
    throw invalidIndex(indexPath, `expected at most ${MAX_SHARDS} files, found ${shardNames.length}`);
  }
  const shards = new Map<string, TensorSource>();
  try {
    for (const name of shardNames) {
      if (!(await exists(join(root, name)))) {
        throw invalidIndex(
          indexPath,
          `it names ${JSON.stringify(name)}, which is not in the folder; download it again`,
        );
      }
      shards.set(name, await openSafetensors(join(root, name)));
    }
    return createSource(root, { shards, owners: assignOwners(shards, weightMap, indexPath) });
  } catch (error) {
    await closeAll(shards);
    throw error;
  }
}

/** The shard of each tensor that the index lists, in the order of the shards. */
function assignOwners(
  shards: ReadonlyMap<string, TensorSource>,
  weightMap: ReadonlyMap<string, string>,
  indexPath: string,
): ReadonlyMap<string, TensorSource> {
  const owners = new Map<string, TensorSource>();
  const holders = new Map<string, string>();
  for (const [shardName, shard] of shards) {
    for (const name of shard.tensors.keys()) {
      const other = holders.get(name);
      if (other !== undefined) {
        throw invalidIndex(indexPath, `${JSON.stringify(name)} lies in two files: ${other} and ${shardName}`);
      }
      holders.set(name, shardName);
      if (weightMap.get(name) === shardName) owners.set(name, shard);
    }
  }
  for (const [name, shardName] of weightMap) {
    if (!owners.has(name)) {
      throw invalidIndex(indexPath, `expected ${JSON.stringify(name)} in ${shardName}, which does not have it`);
    }
  }
  return owners;
}

interface Shards {
  readonly shards: ReadonlyMap<string, TensorSource>;
  readonly owners: ReadonlyMap<string, TensorSource>;
}

function createSource(root: string, { shards, owners }: Shards): TensorSource {
  const tensors = new Map<string, TensorLocation>();
  for (const [name, shard] of owners) {
    const location = shard.tensors.get(name);
    if (location !== undefined) tensors.set(name, location);
  }
  let closing: Promise<void> | undefined;

  async function read(name: string): Promise<Tensor> {
    if (closing !== undefined) throw new CadreError("closed", `${root}: read after close`);
    const owner = owners.get(name);
    if (owner === undefined) {
      throw new CadreError("not-found", `${root}: no tensor ${JSON.stringify(name)}`, {
        details: { path: root, name },
      });
    }
    return owner.read(name);
  }

  function close(): Promise<void> {
    closing ??= closeAll(shards);
    return closing;
  }

  return { path: root, metadata: commonMetadata(shards), tensors, read, close, [Symbol.asyncDispose]: close };
}

function commonMetadata(shards: ReadonlyMap<string, TensorSource>): ReadonlyMap<string, string> {
  const [first, ...others] = shards.values();
  const agreed = [...(first?.metadata ?? [])].filter(([key, text]) =>
    others.every((shard) => shard.metadata.get(key) === text),
  );
  return new Map(agreed);
}

async function closeAll(shards: ReadonlyMap<string, TensorSource>): Promise<void> {
  await Promise.all([...shards.values()].map((shard) => shard.close()));
}

function parseWeightMap(index: unknown, indexPath: string): ReadonlyMap<string, string> {
  const weightMap = isObject(index) && Object.hasOwn(index, "weight_map") ? index.weight_map : undefined;
  if (!isObject(weightMap)) throw invalidIndex(indexPath, 'expected an object "weight_map"');
  const entries = Object.entries(weightMap);
  if (entries.length === 0) throw invalidIndex(indexPath, "expected at least one tensor in weight_map");
  const parsed = new Map<string, string>();
  for (const [name, file] of entries) {
    if (typeof file !== "string" || !isPlainFileName(file)) {
      const found = JSON.stringify(file).slice(0, 200);
      throw invalidIndex(indexPath, `expected the name of a .safetensors file in the same folder, found ${found}`);
    }
    parsed.set(name, file);
  }
  return parsed;
}

/** True for a name that cannot lead out of its folder on any system (`:` reaches drives and streams on Windows). */
function isPlainFileName(name: string): boolean {
  return /^[^/\\:\0]+\.safetensors$/.test(name) && !name.startsWith(".");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return false;
    throw wrapSystemError(error, `cannot open ${path}`);
  }
}

function invalidIndex(path: string, problem: string): CadreError {
  return new CadreError("invalid-file", `${path}: ${problem}`, { details: { path } });
}
