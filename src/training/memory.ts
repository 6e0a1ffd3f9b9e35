import { CadreError } from "../core/errors.js";
import { arenaMemory } from "../graph/arena.js";
import { floatBytes } from "../tensors/tensor.js";
import { buildStepProgram, type StepProgram, type StepProgramOptions } from "./step-program.js";

/** Predicted resident memory of a training's process at its peak, in bytes. */
export interface MemoryEstimate {
  readonly totalBytes: number;
  /** Of which: */
  readonly parts: {
    /** Parameters, frozen and trained, with a delta's. */
    readonly weights: number;
    readonly optimizerState: number;
    /** What the runtime takes for a run of the program and keeps: activations, gradients, updated parameters. */
    readonly step: number;
    /** Updated parameters and optimizer state on their way back from the program, and memory of former contents that nothing can use. */
    readonly copies: number;
    /** Node.js, ONNX Runtime, the compiled program. */
    readonly runtime: number;
  };
}

// Measured by kind of mapping (`/proc/self/smaps`) in trainings of 38 million parameters (Linux x64, onnxruntime-node 1.30.0, Node 20); checked
// by `test/training/memory.slow.test.ts` and `npm run bench -- size`.
/** A process that has loaded Cadre and ONNX Runtime: libraries 70 MB, heaps of two threads 80 MB. */
const PROCESS_BYTES = 150e6;
/** For each byte of a serialised program: its graph here, which stays, and the runtime's. */
const BYTES_PER_PROGRAM_BYTE = 20;
/** What was found in the runtime's arena for each byte of the simulated one, 0.91 to 1.26: operators take memory for themselves. */
const OPERATOR_FACTOR = 1.1;

/**
 * Predicts the memory of a training from its program: a simulation of the runtime's arena says what a run takes, a count of copies what the way
 * of parameters into the program and back adds, and measured constants what the process and the operators take for themselves. A training whose runs hold several steps is
 * estimated by those runs alone.
 * @param options The program that will run.
 */
export function estimateMemory(options: StepProgramOptions): MemoryEstimate {
  const { model } = options;
  const program = buildStepProgram(options);
  const { trained, optimizerSlots } = program;
  const trainedNames = new Set(trained.map(({ name }) => name));
  const frozen = model.parameters.filter(({ name }) => !trainedNames.has(name));
  const optimizerState = floatBytes(optimizerSlots);
  const parts = {
    // Mapped or held, a frozen weight that a step has read is resident.
    weights: floatBytes(frozen) + floatBytes(trained),
    optimizerState,
    step: OPERATOR_FACTOR * arenaMemory(program.graph),
    copies: copiedBytes(program),
    runtime: PROCESS_BYTES + BYTES_PER_PROGRAM_BYTE * program.bytes.length,
  };
  return { totalBytes: Object.values(parts).reduce((sum, bytes) => sum + bytes, 0), parts };
}

/**
 * Copies of what a run updates, beside the slots and the program's own outputs. Nothing is given back to the system, and what one thread has
 * freed another cannot use.
 */
function copiedBytes({ trained, optimizerSlots, updates }: StepProgram): number {
  const all = [...trained, ...optimizerSlots];
  const state = floatBytes(optimizerSlots);
  // The new contents come while the slots still hold the old ones.
  const arriving = floatBytes(all);
  // Slots that are not written over in place: their first contents lay in memory of the main thread, later ones lie in the worker's.
  const replaced = floatBytes(all.filter(({ name }) => typeof updates[name] === "string"));
  // Parameters are read or drawn here and copied; optimizer state that is made after them takes some of that memory.
  const read = Math.max(0, floatBytes(trained) - state);
  return arriving + replaced + read;
}

/**
 * Refuses a training that would not fit, before anything of it is allocated.
 * @throws CadreError `out-of-memory` with the prediction, what is available, and what would need less.
 */
export function refuseIfTooLarge(
  options: StepProgramOptions,
  { availableBytes }: { readonly availableBytes: number },
): void {
  const { totalBytes, parts } = estimateMemory(options);
  if (totalBytes <= availableBytes) {
    return;
  }
  const named = [
    `weights ${gibibytes(parts.weights)}`,
    `optimizer state ${gibibytes(parts.optimizerState)}`,
    `activations and gradients ${gibibytes(parts.step)}`,
    `copies ${gibibytes(parts.copies)}`,
    `runtime ${gibibytes(parts.runtime)}`,
  ].join(", ");
  throw new CadreError(
    "out-of-memory",
    `train: expected a training that fits into the ${gibibytes(availableBytes)} GiB available, this one is predicted to take ${gibibytes(totalBytes)} GiB (${named}). ` +
      `Smaller: ${smaller(options, totalBytes).join("; ")}`,
    { details: { predictedBytes: totalBytes, availableBytes, parts } },
  );
}

/** What would need less, with its prediction where that can be had. */
function smaller(options: StepProgramOptions, totalBytes: number): string[] {
  const { shape, accumulate, stepsPerRun, delta, recompute } = options;
  const rows = Math.ceil(shape.rows / 2);
  const changes: [string, Partial<StepProgramOptions> | undefined][] = [
    [
      `${rows} rows instead of ${shape.rows}, with accumulate ${2 * accumulate}`,
      shape.rows > 1 && delta?.together === undefined
        ? { shape: { ...shape, rows }, accumulate: 2 * accumulate }
        : undefined,
    ],
    ["recompute: true", recompute === true ? undefined : { recompute: true }],
    ["one step a run", stepsPerRun > 1 ? { stepsPerRun: 1 } : undefined],
  ];
  const tried = changes.flatMap(([what, change]) => {
    const bytes = change === undefined ? totalBytes : estimateMemory({ ...options, ...change }).totalBytes;
    return bytes < totalBytes ? [`${what} (${gibibytes(bytes)} GiB)`] : [];
  });
  return [...tried, ...(delta === undefined ? ["a delta such as LoRA instead of all weights"] : ["a smaller base"])];
}

function gibibytes(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(bytes < 2 ** 30 ? 2 : 1);
}
