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
import type { Replacement, SlotMemory, Slots } from "./slot-memory.js";
import { wrapNativeError } from "./wire-error.js";

/** What a run works on. */
export interface RunSource {
  readonly feeds: Readonly<Record<string, Tensor>>;
  /** Read, and replaced where the program has updates and its guards hold. */
  readonly slots: Slots | undefined;
  readonly ort: typeof OnnxRuntime;
  readonly memory: SlotMemory;
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
export async function runProgram(program: EngineProgram, { feeds, slots, ort, memory }: RunSource): Promise<RunResult> {
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
  const before = new Set(slots?.values());
  try {
    const committed = guards.every((guard) => allFinite(fromOrtTensor(outputOf(guard))));
    if (committed && slots !== undefined) await commit(slots, { updates, session, outputOf, where, memory });
    const kept = new Set([...updates.values()].flat());
    const outputs: Record<string, Tensor> = {};
    for (const output of session.outputNames) {
      if (!kept.has(output)) outputs[output] = fromOrtTensor(outputOf(output));
    }
    return { outputs, committed, seconds };
  } finally {
    // Whatever happened: what the slots held before or would have held now, without what they hold.
    memory.free([...before, ...updatedOutputs()], new Set(slots?.values()));
  }

  function* updatedOutputs(): Generator<OnnxRuntime.Tensor> {
    for (const output of new Set([...updates.values()].flat())) {
      const value = produced[output];
      if (value instanceof ort.Tensor) yield value;
    }
  }
}

function factsOf({ dtype, shape, data }: Tensor): TensorFacts {
  return { dtype, shape, elements: data.length };
}

function slotFacts(slot: string, { type, dims, size }: OnnxRuntime.Tensor): [string, TensorFacts][] {
  return isDType(type) ? [[slot, { dtype: type, shape: dims, elements: size }]] : [];
}

/** Replaces the slots, once all new content is known to fit. */
async function commit(
  slots: Slots,
  {
    updates,
    session,
    outputOf,
    where,
    memory,
  }: Pick<EngineProgram, "updates" | "session"> & {
    readonly outputOf: (output: string) => OnnxRuntime.Tensor;
    readonly where: string;
    readonly memory: SlotMemory;
  },
): Promise<void> {
  const replacements = new Map<string, Replacement>();
  try {
    for (const [name, [first, ...rest]] of updates) {
      if (first === undefined) continue;
      const outputs = [outputOf(first), ...rest.map(outputOf)] as const;
      replacements.set(name, await memory.replacement({ name, slot: slots.get(name), outputs, session, where }));
    }
  } catch (error) {
    memory.free(
      [...replacements.values()].map(({ content }) => content),
      new Set(slots.values()),
    );
    throw error;
  }
  for (const [name, { content, complete }] of replacements) {
    complete();
    slots.set(name, content);
  }
}
