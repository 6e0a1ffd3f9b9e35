import { CadreError } from "../core/errors.js";
import { sha256 } from "../core/hash.js";
import type { ParameterSpec } from "../models/parameter.js";
import type { DeviceKind } from "../runtime/device.js";
import type { Tensor } from "../tensors/tensor.js";
import { bytesOfTensor } from "../tensors/tensor-bytes.js";
import type { Schedule } from "./schedules.js";
import type { StepProgram } from "./step-program.js";
import { isSource, type Weights } from "./weights.js";

/** What a continued training must share with the one that wrote a checkpoint: fact to value. */
export type Fingerprint = Readonly<Record<string, string>>;

/** Steps at which schedules are compared, independent of how long the training is. */
const SCHEDULE_PROBES = [
  ...new Set(Array.from({ length: 161 }, (_, power) => Math.floor(2 ** (power / 8)))).add(0),
].sort((first, second) => first - second);

/** Options of `fingerprintOf`. */
export interface FingerprintOptions {
  /** Of one step: holds architecture, delta, shapes, optimizer, clipping, dropout and weight decay. */
  readonly program: StepProgram;
  readonly parameters: readonly ParameterSpec[];
  readonly weights: Weights | undefined;
  readonly deltaTensors: ReadonlyMap<string, Tensor> | undefined;
  readonly losses: { readonly tokens: number; readonly choices: number };
  readonly pack: boolean;
  readonly schedule: Schedule;
  readonly seed: number;
  /** Its kind, since other kernels give other bits, and its threads: products of some shapes differ in their last bits between numbers of them. */
  readonly device: { readonly kind: DeviceKind; readonly threads: number };
  /** Facts of the caller's. */
  readonly more: Fingerprint | undefined;
}

/** Collects the facts; reads all weights to hash them. */
export async function fingerprintOf(options: FingerprintOptions): Promise<Fingerprint> {
  const { program, parameters, weights, deltaTensors, losses, pack, schedule, seed, device, more } = options;
  return {
    ...more,
    program: await sha256(program.bytes),
    weights: await hashWeights(weights, parameters),
    deltaTensors: await hashWeights(
      deltaTensors,
      program.trained.filter(({ name }) => deltaTensors?.has(name)),
    ),
    losses: `tokens ${losses.tokens}, choices ${losses.choices}`,
    pack: String(pack),
    schedule: JSON.stringify(SCHEDULE_PROBES.map((step) => schedule(step))),
    seed: String(seed),
    threads: String(device.threads),
    // Checkpoints of the processor say nothing, as they did before there was another device.
    ...(device.kind === "cpu" ? {} : { device: device.kind }),
  };
}

/**
 * Compares the facts; of schedules, only the steps that the checkpoint has behind it, so that a training may be made longer where its past stays
 * the same.
 * @throws CadreError `mismatch` naming the facts that differ.
 */
export function checkFingerprint(found: Fingerprint, expected: Fingerprint, { step }: { readonly step: number }): void {
  const names = new Set([...Object.keys(expected), ...Object.keys(found)]);
  const past = (fingerprint: Fingerprint, name: string): string | undefined =>
    name === "schedule" ? pastRates(fingerprint[name], step) : fingerprint[name];
  const different = [...names].filter((name) => past(found, name) !== past(expected, name)).sort();
  if (different.length === 0) {
    return;
  }
  const reasons = different.map((name) => MEANING[name] ?? name);
  throw new CadreError(
    "mismatch",
    `train: expected the checkpoint of step ${step} to belong to this training, but it differs in ${reasons.join("; ")}. ` +
      "Repeat the settings it was begun with, or use another checkpoint folder to begin anew",
    { details: { step, different } },
  );
}

function pastRates(schedule: string | undefined, step: number): string | undefined {
  const behind = SCHEDULE_PROBES.findIndex((probe) => probe >= step);
  return schedule
    ?.split(",")
    .slice(0, behind < 0 ? undefined : behind)
    .join();
}

const MEANING: Readonly<Record<string, string>> = {
  program:
    "the program (model, delta, batch shape, optimizer, clipping, dropout, weight decay, or the version of Cadre that built it)",
  weights: "the weights it started from",
  deltaTensors: "the delta tensors it started from",
  losses: "the weights of the losses",
  pack: "packing",
  schedule: "the learning-rate schedule",
  seed: "the seed",
  device: "the device (`--device`; other kernels give other bits)",
  threads: "the device's number of threads (open it with as many; any machine may)",
};

async function hashWeights(weights: Weights | undefined, parameters: readonly ParameterSpec[]): Promise<string> {
  if (weights === undefined) {
    return "none";
  }
  const hashes: string[] = [];
  for (const { name } of parameters) {
    const present = isSource(weights) ? weights.tensors.has(name) : weights.has(name);
    const tensor = present ? await (isSource(weights) ? weights.read(name) : weights.get(name)) : undefined;
    hashes.push(
      tensor === undefined ? `${name} none` : `${name} ${tensor.dtype} ${await sha256(bytesOfTensor(tensor))}`,
    );
  }
  return hashText(hashes.join("\n"));
}

function hashText(text: string): Promise<string> {
  return sha256(new TextEncoder().encode(text));
}
