import { at } from "../core/at.js";
import { CadreError, throwIfAborted } from "../core/errors.js";
import { powerOfTwo } from "../core/numbers.js";
import { createTurns } from "../core/turns.js";
import { layOutRows } from "../experts/rows.js";
import type { Program, State } from "../runtime/device.js";
import { createProgramCache } from "../runtime/program-cache.js";
import { hasDType, type Tensor } from "../tensors/tensor.js";
import { frozenWeights, readParameters } from "../training/weights.js";
import { checkCall, decodingOf, limited, NO_TARGET } from "./check-call.js";
import { type DecodeProgramOptions, packShape } from "./decode-program.js";
import { batchesOf, type DecodingBatch } from "./decoding-batches.js";
import type {
  Generated,
  GeneratedPart,
  GenerateOptions,
  GenerationRow,
  TokenGenerator,
  TokenGeneratorOptions,
} from "./generation.js";
import { buildPrefillProgram } from "./prefill-program.js";
import { buildStepsProgram, LOG_PROBABILITIES, TOKENS } from "./steps-program.js";

/** Pairs of programs that are kept; each holds its activations. */
const MOST_PROGRAMS = 6;
/**
 * Steps of one call of the runtime at most. Calls cost: messages, and copies of the caches, which a run leaves alone until its end. Long runs
 * cost too: every step copies the run's own entries. Measured with cadre-mini's shape, 64 tokens, processor time on one thread, for 1, 4, 8,
 * 16 and 32 steps: 1 row 94, 76, 54, 69, 99 ms; 8 rows 289, 175, 146, 164, 173 ms; 32 rows 744, 517, 440, 430, 465 ms. With T5-small's
 * shape 8 rows 1.14, 1.14, 0.97 s for 4, 8 and 16 steps, 32 rows 2.9, 2.8 s for 4 and 8.
 */
const STEPS_PER_RUN = 8;

/** The programs of a batch shape. */
interface Programs {
  readonly prefill: Program;
  readonly steps: Program;
}

/**
 * Makes a generator. Rows of like length are decoded together; keys and values stay on the device between runs. Programs are compiled at the
 * first call that needs their shape and kept for the next.
 *
 * Which rows are decoded together changes the last bits of logits (about 1e-6 of them), so an answer can change where two tokens are as good
 * as equally likely; equal calls give equal bits on the CPU device.
 *
 * @throws CadreError `unsupported` for a model that only scores.
 */
export function createTokenGenerator(options: TokenGeneratorOptions): TokenGenerator {
  const { device, model, weights, delta, inputLength = 512 } = options;
  const decoding = decodingOf(model);
  const replaced = new Set(delta?.parameters.map(({ name }) => name));
  const kept = model.parameters.filter(({ name }) => !replaced.has(name));
  const frozen = frozenWeights(weights, model.parameters);
  const programs = createProgramCache<Programs>({ most: MOST_PROGRAMS, close: closePrograms });
  const turns = createTurns();
  let state: State | undefined;
  let written: ReadonlyMap<string, Tensor> | undefined;
  let closed = false;

  const compile = async (shape: Omit<DecodeProgramOptions, "model" | "decoding" | "delta" | "frozen">) => {
    const sources: DecodeProgramOptions = { model, decoding, delta, frozen, ...shape };
    const where = frozen.kind === "mapped" ? { weightsFolder: frozen.folder } : {};
    const prefill = buildPrefillProgram(sources);
    const steps = buildStepsProgram(sources);
    return {
      prefill: await device.compile(prefill.bytes, { name: "prefill", updates: prefill.updates, ...where }),
      steps: await device.compile(steps.bytes, {
        name: "decoding",
        updates: steps.updates,
        // Few rows: the second copy is read twice as fast.
        prepackWeights: true,
        ...where,
      }),
    };
  };
  const programsFor = (shape: Parameters<typeof compile>[0]): Promise<Programs> =>
    programs.get(JSON.stringify(shape), () => compile(shape));
  const stateWith = async (deltaTensors: ReadonlyMap<string, Tensor> | undefined): Promise<State> => {
    state ??= await device.createState(frozen.kind === "mapped" ? new Map() : await readParameters(weights, kept));
    if (deltaTensors !== undefined && deltaTensors !== written) {
      await state.write(await readParameters(deltaTensors, delta?.parameters ?? []));
      written = deltaTensors;
    }
    return state;
  };

  async function* decode(
    batch: DecodingBatch,
    { rows, maxNewTokens, signal, deltaTensors }: Call,
  ): AsyncGenerator<GeneratedPart, void, undefined> {
    const shape = { rows: batch.rows, inputLength: batch.inputLength };
    const steps = Math.min(STEPS_PER_RUN, powerOfTwo(maxNewTokens));
    const past = decoding.pastLength(shape) + (powerOfTwo(Math.ceil(maxNewTokens / steps)) - 1) * steps;
    const run = await programsFor({ shape, window: { past, recent: steps } });
    const held = { state: await stateWith(deltaTensors), ...(signal === undefined ? {} : { signal }) };
    const members = batch.members.map((index) => at(rows, index));
    const packed = layOutRows(
      members.map(({ input, experts = [] }) => [{ example: { input, targets: [NO_TARGET], correct: 0 }, experts }]),
      packShape(shape),
      model.padId,
    );
    const { feeds, ids, pastLengths } = decoding.start(packed);
    const chosen = delta?.feeds?.(packed) ?? {};
    throwIfAborted(signal);
    await run.prefill.run({ ...feeds, ...chosen }, held);
    const ended = Uint8Array.from({ length: batch.rows }, (_, row) => (row < members.length ? 0 : 1));
    for (let done = 0; ended.includes(0); done += steps) {
      throwIfAborted(signal);
      const size = [batch.rows];
      const { outputs } = await run.steps.run(
        {
          ...chosen,
          ids: { dtype: "int32", shape: size, data: ids },
          ended: { dtype: "bool", shape: size, data: ended },
          pastLengths: { dtype: "int32", shape: size, data: pastLengths },
        },
        held,
      );
      const tokens = integersOf(outputs[TOKENS]);
      const logProbabilities = floatsOf(outputs[LOG_PROBABILITIES]);
      for (const [row, index] of batch.members.entries()) {
        if (at(ended, row) === 1) {
          continue;
        }
        const start = row * steps;
        const own = tokens.subarray(start, start + Math.min(steps, maxNewTokens - done));
        const end = own.indexOf(model.endId);
        const count = end < 0 ? own.length : end + 1;
        const finish = end >= 0 ? "end" : done + count >= maxNewTokens ? "length" : undefined;
        ended[row] = finish === undefined ? 0 : 1;
        ids[row] = at(own, count - 1);
        pastLengths[row] = at(pastLengths, row) + steps;
        yield {
          row: index,
          ids: own.slice(0, count),
          logProbabilities: finite(logProbabilities.slice(start, start + count), index),
          ...(finish === undefined ? {} : { finish }),
        };
      }
    }
  }

  async function* stream(
    given: readonly GenerationRow[],
    call: GenerateOptions = {},
  ): AsyncGenerator<GeneratedPart, void, undefined> {
    const { maxNewTokens = 64 } = call;
    checkCall(options, { ...call, maxNewTokens });
    const rows = given.map((row, index) => ({ ...row, input: limited(row, { model, inputLength, index }).input }));
    // Calls share programs and slots.
    const release = await turns.take();
    try {
      if (closed) {
        throw new CadreError("closed", "generate: expected an open generator, this one was closed; create another");
      }
      for (const batch of batchesOf(rows.map(({ input }) => input.length))) {
        yield* decode(batch, { ...call, rows, maxNewTokens });
      }
    } finally {
      release();
    }
  }

  const generate = async (rows: readonly GenerationRow[], call: GenerateOptions = {}): Promise<Generated[]> => {
    const parts = rows.map((): GeneratedPart[] => []);
    for await (const part of stream(rows, call)) {
      at(parts, part.row).push(part);
    }
    return parts.map((own, row) => {
      const { input } = at(rows, row);
      return {
        ids: Int32Array.from(own.flatMap(({ ids }) => [...ids])),
        logProbabilities: Float32Array.from(own.flatMap(({ logProbabilities }) => [...logProbabilities])),
        finish: own.at(-1)?.finish ?? "length",
        inputTokensCut: Math.max(0, input.length - inputLength),
      };
    });
  };

  const close = (): Promise<void> =>
    turns.run(async () => {
      closed = true;
      await programs.close();
      await state?.close();
      state = undefined;
    });
  return { generate, stream, close, [Symbol.asyncDispose]: close };
}

/** A call with its rows cut to the limit. */
interface Call extends GenerateOptions {
  readonly rows: readonly GenerationRow[];
  readonly maxNewTokens: number;
}

async function closePrograms({ prefill, steps }: Programs): Promise<void> {
  await prefill.close();
  await steps.close();
}

function finite(logProbabilities: Float32Array, row: number): Float32Array {
  if (!logProbabilities.every(Number.isFinite)) {
    throw new CadreError("non-finite", `generate: row ${row}: expected finite log-probabilities; check the weights`);
  }
  return logProbabilities;
}

function integersOf(tensor: Tensor | undefined): Int32Array {
  if (tensor === undefined || !hasDType(tensor, "int32")) {
    throw new CadreError("internal", `decoding: no int32 output ${TOKENS}`);
  }
  return tensor.data;
}

function floatsOf(tensor: Tensor | undefined): Float32Array {
  if (tensor === undefined || !hasDType(tensor, "float32")) {
    throw new CadreError("internal", `decoding: no float32 output ${LOG_PROBABILITIES}`);
  }
  return tensor.data;
}
