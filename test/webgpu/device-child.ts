/**
 * Small tasks on a device, in a process of its own that a driver may end: `node device-child.js KIND CASE...`. Prints one line of JSON for each
 * case.
 */
import type { Device } from "../../src/runtime/device.js";
import { checkDeviceKind, openDevice } from "../../src/runtime/node/open-device.js";
import { ANSWER_CASES } from "./answer-cases.js";
import { TRAINING_CASES } from "./training-cases.js";

/** What a case came to. */
export interface Results {
  /** What may differ a little between devices, by name. */
  readonly numbers: Readonly<Record<string, readonly number[]>>;
  /** What may not: token ids of each answer. */
  readonly tokens?: readonly (readonly number[])[];
}

/** Does something on a device. */
export type Case = (device: Device) => Promise<Results>;

/** A line that the process prints. */
export interface Outcome extends Results {
  readonly name: string;
  readonly seconds: number;
}

const [kind = "", ...names] = process.argv.slice(2);
checkDeviceKind(kind, "device-child");
await using device = await openDevice({ kind, threads: 1 });
for (const name of names) {
  const run = TRAINING_CASES[name] ?? ANSWER_CASES[name];
  if (run === undefined) throw new Error(`no case ${name}`);
  const started = performance.now();
  const results = await run(device);
  const outcome: Outcome = { name, ...results, seconds: (performance.now() - started) / 1000 };
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
