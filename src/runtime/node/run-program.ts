import { performance } from "node:perf_hooks";
import type * as OnnxRuntime from "onnxruntime-node";
import { CadreError } from "../../core/errors.js";
import { allFinite } from "../../tensors/all-finite.js";
import { isDType } from "../../tensors/dtype.js";
import type { Tensor } from "../../tensors/tensor.js";
import type { RunResult } from "../device.js";
import { checkFeeds, type TensorFacts } from "./check-feeds.js";
import type { EngineProgram } from "./engine-program.js";
import { fromOrtTensor, toOrtTensor } from "./ort-tensor.js";
import { wrapNativeError } from "./wire-error.js";

/** A state in the worker. */
export type Slots = Map<string, OnnxRuntime.Tensor>;

/** What a run works on. */
export interface RunSource {
  readonly feeds: Readonly<Record<string, Tensor>>;
  /** Read, and replaced where the program has updates and its guards hold. */
  readonly slots: Slots | undefined;
  readonly ort: typeof OnnxRuntime;
}

/**
 * Runs a program once. The binding copies every output into fresh memory, and the copies become the slots as they are (large ones
 * come in parts and are copied once more, see `step-program.ts`): with
 * 150 slots of together 315 MB that costs about 45 ms a run (2 cores, 52 ms with the graph's own 11 ms) and 3.2 to 3.7 times the
 * state in memory, however many runs. Two sets of pre-allocated outputs took as long (75 against 73 ms in one thread, 1.12
 * against 1.18 GB), since they are copied too; collecting garbage by force changed neither.
 * The state changes as a whole or, when a guard or the run fails, not at all.
 * @throws CadreError `invalid-argument` for feeds or slots that do not fit the graph, or when ONNX Runtime refuses them;
 * `out-of-memory`.
 */
export async function runProgram(program: EngineProgram, { feeds, slots, ort }: RunSource): Promise<RunResult> {
  const { name, session, updates, guards } = program;
  const where = `run(${name})`;
  if (updates.size > 0 && slots === undefined) {
    throw new CadreError(
      "invalid-argument",
      `${where}: expected a state for the updates of ${[...updates.keys()].join(", ")}, got none; pass \`state\``,
    );
  }
  const given = new Map(Object.entries(feeds));
  checkFeeds({
    name,
    inputs: session.inputMetadata,
    feeds: new Map([...given].map(([input, tensor]) => [input, factsOf(tensor)])),
    slots: slots && new Map([...slots].flatMap(([slot, tensor]) => slotFacts(slot, tensor))),
  });

  let produced: OnnxRuntime.InferenceSession.OnnxValueMapType;
  let seconds: number;
  try {
    const inputs: Record<string, OnnxRuntime.Tensor> = {};
    for (const input of session.inputNames) {
      const feed = given.get(input);
      const value = feed === undefined ? slots?.get(input) : toOrtTensor(feed, ort.Tensor);
      if (value !== undefined) inputs[input] = value;
    }
    const before = performance.now();
    produced = await session.run(inputs);
    seconds = (performance.now() - before) / 1000;
  } catch (error) {
    throw wrapNativeError(error, { where, otherwise: "invalid-argument" });
  }

  const outputOf = (output: string): OnnxRuntime.Tensor => {
    const value = produced[output];
    if (value instanceof ort.Tensor) return value;
    throw new CadreError("internal", `${where}: ONNX Runtime returned no tensor for output "${output}"`);
  };
  const committed = guards.every((guard) => allFinite(fromOrtTensor(outputOf(guard))));
  if (committed && slots !== undefined) commit(slots, { updates, outputOf, where });
  const kept = new Set([...updates.values()].flat());
  const outputs: Record<string, Tensor> = {};
  for (const output of session.outputNames) {
    if (!kept.has(output)) outputs[output] = fromOrtTensor(outputOf(output));
  }
  return { outputs, committed, seconds };
}

function factsOf({ dtype, shape, data }: Tensor): TensorFacts {
  return { dtype, shape, elements: data.length };
}

function slotFacts(slot: string, { type, dims, size }: OnnxRuntime.Tensor): [string, TensorFacts][] {
  return isDType(type) ? [[slot, { dtype: type, shape: dims, elements: size }]] : [];
}

/** Replaces the slots; one that comes in parts is written over in place, once all parts are known to fit. */
function commit(
  slots: Slots,
  {
    updates,
    outputOf,
    where,
  }: Pick<EngineProgram, "updates"> & {
    readonly outputOf: (output: string) => OnnxRuntime.Tensor;
    readonly where: string;
  },
): void {
  const writes: (() => void)[] = [];
  for (const [slot, outputs] of updates) {
    const [first] = outputs;
    if (outputs.length === 1 && first !== undefined) {
      writes.push(() => slots.set(slot, outputOf(first)));
      continue;
    }
    const target = slots.get(slot)?.data;
    const parts = outputs.map((output) => outputOf(output).data);
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (
      !(target instanceof Float32Array) ||
      target.length !== length ||
      parts.some((part) => !(part instanceof Float32Array))
    ) {
      throw new CadreError(
        "invalid-argument",
        `${where}: expected parts that make up slot "${slot}", got ${length} elements`,
      );
    }
    writes.push(() => {
      let offset = 0;
      for (const part of parts) {
        if (part instanceof Float32Array) target.set(part, offset);
        offset += part.length;
      }
    });
  }
  for (const write of writes) write();
}
