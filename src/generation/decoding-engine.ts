import type { Decoding } from "../models/decoding.js";
import type { Delta } from "../models/delta.js";
import type { Model } from "../models/model.js";
import type { ParameterSpec } from "../models/parameter.js";
import type { Program, State } from "../runtime/device.js";
import { createProgramCache } from "../runtime/program-cache.js";
import { floatBytes, type Tensor } from "../tensors/tensor.js";
import { type FrozenWeights, frozenWeights, isSource, readParameters, type Weights } from "../training/weights.js";
import { type BeamProgramShape, buildBeamProgram } from "./beam-program.js";
import { decodingOf } from "./check-call.js";
import type { DecodeProgram, DecodeProgramOptions } from "./decode-program.js";
import type { TokenGeneratorOptions } from "./generation.js";
import { buildPickRowsProgram } from "./pick-rows-program.js";
import { buildPrefillProgram } from "./prefill-program.js";
import { buildStepsProgram, type Choosing } from "./steps-program.js";

/**
 * Programs of a kind that are kept: as many as could hold the model's weights again in this many bytes (programs of steps hold the decoder's),
 * within limits. Compiling one takes 0.1 to 1 s; a batch whose rows end one after another uses up to six.
 */
const PROGRAM_BYTES = 2 ** 29;
const FEWEST_PROGRAMS = 6;
const MOST_PROGRAMS = 24;
/**
 * Of weights that cannot be mapped and that programs hold all the same, because only constants are packed. Measured with cadre-mini (f16) and 32 tokens,
 * processor time on one thread: 1 row 21 instead of 33 ms, 8 rows 62 instead of 114; 32 rows alike.
 */
const MOST_HELD_BYTES = 2 ** 27;

/** What programs of a batch are made for. */
export type BatchShape = Pick<DecodeProgramOptions, "shape" | "window">;

/** The programs of a generator, compiled when a shape first comes up, and the state that they share. Not for two callers at once. */
export interface DecodingEngine {
  readonly model: Model;
  readonly decoding: Decoding;
  readonly delta: Delta | undefined;
  /** The state with the delta's tensors in it, which are written if they are not those of the call before. */
  stateWith(deltaTensors: ReadonlyMap<string, Tensor> | undefined): Promise<State>;
  prefill(batch: BatchShape): Promise<Program>;
  steps(batch: BatchShape, choosing: Choosing): Promise<Program>;
  beamStep(batch: BatchShape, beams: BeamProgramShape): Promise<Program>;
  pickRows(batch: BatchShape, rows: number): Promise<Program>;
  close(): Promise<void>;
}

/** Nothing is compiled or copied before it is asked for. @throws CadreError `unsupported` for a model that only scores. */
export function createDecodingEngine({ device, model, weights, delta }: TokenGeneratorOptions): DecodingEngine {
  const decoding = decodingOf(model);
  const replaced = new Set(delta?.parameters.map(({ name }) => name));
  const kept = model.parameters.filter(({ name }) => !replaced.has(name));
  const bytes = floatBytes(model.parameters);
  const most = Math.min(MOST_PROGRAMS, Math.max(FEWEST_PROGRAMS, Math.floor(PROGRAM_BYTES / bytes)));
  const cache = () => createProgramCache<Program>({ most, close: async (program) => await program.close() });
  const [prefills, decoders, picks] = [cache(), cache(), cache()];
  let state: State | undefined;
  let written: ReadonlyMap<string, Tensor> | undefined;
  let opened: Promise<FrozenWeights> | undefined;

  const openFrozen = (): Promise<FrozenWeights> => {
    opened ??= constantWeights(weights, { all: model.parameters, kept });
    return opened;
  };
  const compile = async (
    name: string,
    build: (sources: Pick<DecodeProgramOptions, "model" | "decoding" | "delta" | "frozen">) => DecodeProgram,
    prepackWeights = false,
  ): Promise<Program> => {
    const frozen = await openFrozen();
    const { bytes, updates } = build({ model, decoding, delta, frozen });
    return await device.compile(bytes, {
      ...{ name, updates, prepackWeights },
      ...(frozen.kind === "mapped" ? { weightsFolder: frozen.folder } : {}),
    });
  };
  return {
    ...{ model, decoding, delta },
    async stateWith(deltaTensors) {
      state ??= await device.createState(
        (await openFrozen()).kind === "slots" ? await readParameters(weights, kept) : new Map(),
      );
      if (deltaTensors !== undefined && deltaTensors !== written) {
        await state.write(await readParameters(deltaTensors, delta?.parameters ?? []));
        written = deltaTensors;
      }
      return state;
    },
    prefill: (batch) =>
      prefills.get(JSON.stringify(batch), () => compile("prefill", (own) => buildPrefillProgram({ ...own, ...batch }))),
    // Few rows: the second copy of the weights is read twice as fast.
    steps: (batch, choosing) =>
      decoders.get(JSON.stringify([batch, choosing]), () =>
        compile("decoding", (own) => buildStepsProgram({ ...own, ...batch }, choosing), true),
      ),
    beamStep: (batch, beams) =>
      decoders.get(JSON.stringify([batch, beams]), () =>
        compile("beam search", (own) => buildBeamProgram({ ...own, ...batch }, beams), true),
      ),
    pickRows: (batch, rows) =>
      picks.get(JSON.stringify([batch, rows]), () =>
        compile("picking rows", () => buildPickRowsProgram({ decoding, ...batch, rows })),
      ),
    async close() {
      for (const programs of [prefills, decoders, picks]) {
        await programs.close();
      }
      await state?.close();
      state = undefined;
    },
  };
}

/** Weights as constants of programs where they can be, as slots otherwise: a whole model in memory is one of many, each with programs of its own. */
async function constantWeights(
  weights: Weights,
  { all, kept }: { readonly all: readonly ParameterSpec[]; readonly kept: readonly ParameterSpec[] },
): Promise<FrozenWeights> {
  const frozen = frozenWeights(weights, all);
  return frozen.kind === "mapped" || !isSource(weights) || floatBytes(kept) > MOST_HELD_BYTES
    ? frozen
    : { kind: "held", tensors: await readParameters(weights, kept) };
}
