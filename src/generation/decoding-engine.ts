import type { Decoding } from "../models/decoding.js";
import type { Delta } from "../models/delta.js";
import type { Model } from "../models/model.js";
import type { Program, State } from "../runtime/device.js";
import { createProgramCache } from "../runtime/program-cache.js";
import { floatBytes, type Tensor } from "../tensors/tensor.js";
import { frozenWeights, readParameters } from "../training/weights.js";
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
  const frozen = frozenWeights(weights, model.parameters);
  const bytes = floatBytes(model.parameters);
  const most = Math.min(MOST_PROGRAMS, Math.max(FEWEST_PROGRAMS, Math.floor(PROGRAM_BYTES / bytes)));
  const cache = () => createProgramCache<Program>({ most, close: async (program) => await program.close() });
  const [prefills, decoders, picks] = [cache(), cache(), cache()];
  let state: State | undefined;
  let written: ReadonlyMap<string, Tensor> | undefined;

  const compile = (name: string, { bytes, updates }: DecodeProgram, prepackWeights = false): Promise<Program> =>
    device.compile(bytes, {
      ...{ name, updates, prepackWeights },
      ...(frozen.kind === "mapped" ? { weightsFolder: frozen.folder } : {}),
    });
  const sources = (batch: BatchShape): DecodeProgramOptions => ({ model, decoding, delta, frozen, ...batch });
  return {
    ...{ model, decoding, delta },
    async stateWith(deltaTensors) {
      state ??= await device.createState(frozen.kind === "mapped" ? new Map() : await readParameters(weights, kept));
      if (deltaTensors !== undefined && deltaTensors !== written) {
        await state.write(await readParameters(deltaTensors, delta?.parameters ?? []));
        written = deltaTensors;
      }
      return state;
    },
    prefill: (batch) =>
      prefills.get(JSON.stringify(batch), () => compile("prefill", buildPrefillProgram(sources(batch)))),
    // Few rows: the second copy of the weights is read twice as fast.
    steps: (batch, choosing) =>
      decoders.get(JSON.stringify([batch, choosing]), () =>
        compile("decoding", buildStepsProgram(sources(batch), choosing), true),
      ),
    beamStep: (batch, beams) =>
      decoders.get(JSON.stringify([batch, beams]), () =>
        compile("beam search", buildBeamProgram(sources(batch), beams), true),
      ),
    pickRows: (batch, rows) =>
      picks.get(JSON.stringify([batch, rows]), () =>
        compile("picking rows", buildPickRowsProgram({ decoding, ...batch, rows })),
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
