import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { CadreError } from "../../core/errors.js";
import { removeLeftovers, writeFileAtomic, writeFolderAtomic } from "../../core/node/atomic-write.js";
import { hashFile } from "../../core/node/hash-file.js";
import { readJson } from "../../core/node/json.js";
import type { StreamPosition } from "../../mixtures/example-stream.js";
import { openSafetensors, writeSafetensors } from "../../tensors/node/safetensors-file.js";
import type { Tensor } from "../../tensors/tensor.js";
import type { Checkpoint, CheckpointStore } from "../checkpoint-store.js";

const FORMAT = "cadre-checkpoint";
const FORMAT_VERSION = 1;
const STEP_FOLDER = /^step-(\d{9})$/;

const streamPositionSchema: z.ZodType<StreamPosition> = z.lazy(() =>
  z.union([z.number(), z.string(), z.array(streamPositionSchema), z.record(z.string(), streamPositionSchema)]),
);

const checkpointSchema = z.looseObject({
  format: z.literal(FORMAT),
  formatVersion: z.int().positive(),
  step: z.int().nonnegative(),
  fingerprint: z.string(),
  stream: streamPositionSchema,
  bestScore: z.number().optional(),
  files: z.record(z.string(), z.object({ sha256: z.string() })),
});

const bestSchema = z.looseObject({ step: z.int().nonnegative() });

/** Options of `checkpointFolder`. */
export interface CheckpointFolderOptions {
  /** Checkpoints kept beside the best one; default 2. */
  readonly keepLast?: number;
}

/**
 * Checkpoints as folders `step-000000120/{checkpoint.json,state.safetensors}`. A checkpoint appears by one rename after its files are on
 * disk, so a killed process leaves whole ones and temporary names that the next one removes. `best.json` names the best.
 */
export function checkpointFolder(folder: string, options: CheckpointFolderOptions = {}): CheckpointStore {
  const { keepLast = 2 } = options;
  const pathOf = (step: number): string => join(folder, `step-${String(step).padStart(9, "0")}`);
  const bestPath = join(folder, "best.json");

  async function bestStep(): Promise<number | undefined> {
    try {
      return bestSchema.parse(await readJson(bestPath)).step;
    } catch (error) {
      if (CadreError.isInstance(error) && error.code === "not-found") {
        return undefined;
      }
      throw error;
    }
  }

  return {
    async save(checkpoint, { best }) {
      await mkdir(folder, { recursive: true });
      await removeLeftovers(folder);
      const path = pathOf(checkpoint.step);
      const { tensors, ...rest } = checkpoint;
      if (!(await stepsIn(folder)).includes(checkpoint.step)) {
        await writeFolderAtomic(path, async (temporary) => {
          const state = join(temporary, "state.safetensors");
          await writeSafetensors(state, tensors);
          const files = { "state.safetensors": { sha256: await hashFile(state) } };
          const json = { format: FORMAT, formatVersion: FORMAT_VERSION, ...rest, files };
          await writeFileAtomic(join(temporary, "checkpoint.json"), `${JSON.stringify(json, null, 2)}\n`);
        });
      }
      if (best) {
        await writeFileAtomic(bestPath, `${JSON.stringify({ step: checkpoint.step })}\n`);
      }
      const kept = await bestStep();
      const steps = await stepsIn(folder);
      for (const old of steps.slice(0, Math.max(0, steps.length - keepLast))) {
        if (old !== kept) {
          await rm(pathOf(old), { recursive: true, force: true });
        }
      }
      return path;
    },
    async latest() {
      const steps = await stepsIn(folder);
      let problem: unknown;
      for (const step of steps.toReversed()) {
        try {
          return await readCheckpoint(pathOf(step));
        } catch (error) {
          // A newer format or a foreign file is not a damaged checkpoint to fall back from.
          if (!CadreError.isInstance(error) || error.code === "mismatch") {
            throw error;
          }
          problem ??= error;
        }
      }
      if (problem !== undefined) {
        throw problem;
      }
      return undefined;
    },
    async best() {
      const step = await bestStep();
      return step === undefined ? undefined : readCheckpoint(pathOf(step));
    },
  };
}

async function stepsIn(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") {
      return [];
    }
    throw error;
  });
  return names.flatMap((name) => STEP_FOLDER.exec(name)?.[1] ?? []).map(Number).sort((left, right) => left - right);
}

async function readCheckpoint(path: string): Promise<Checkpoint> {
  const jsonPath = join(path, "checkpoint.json");
  const content = await readJson(jsonPath);
  const version = z.looseObject({ formatVersion: z.number() }).safeParse(content);
  if (version.success && version.data.formatVersion > FORMAT_VERSION) {
    throw new CadreError(
      "mismatch",
      `${jsonPath}: expected format version ${FORMAT_VERSION} or older, got ${version.data.formatVersion}; update cadre`,
    );
  }
  const parsed = checkpointSchema.safeParse(content);
  if (!parsed.success) {
    throw new CadreError("invalid-file", `${jsonPath}: expected a checkpoint:\n${z.prettifyError(parsed.error)}`);
  }
  const statePath = join(path, "state.safetensors");
  const expected = parsed.data.files["state.safetensors"]?.sha256;
  const found = await hashFile(statePath);
  if (found !== expected) {
    throw new CadreError("invalid-file", `${statePath}: expected sha256 ${expected ?? "of the file"}, got ${found}; the file is damaged`);
  }
  await using file = await openSafetensors(statePath);
  const tensors = new Map<string, Tensor>();
  for (const name of file.tensors.keys()) {
    tensors.set(name, await file.read(name));
  }
  const { step, fingerprint, stream, bestScore } = parsed.data;
  return { step, fingerprint, stream, bestScore, tensors };
}
