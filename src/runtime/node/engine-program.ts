import type * as OnnxRuntime from "onnxruntime-node";
import { CadreError } from "../../core/errors.js";
import { isDType, isFloatDType } from "../../tensors/dtype.js";
import type { CompileOptions } from "../device.js";
import { type SessionPlace, sessionOptions } from "./session-options.js";
import { prepareForWebgpu } from "./webgpu-model.js";
import { wrapNativeError } from "./wire-error.js";

/** A program in the worker. */
export interface EngineProgram {
  readonly name: string;
  readonly session: OnnxRuntime.InferenceSession;
  /** Slot name to the output, or the outputs whose rows together make the slot. */
  readonly updates: ReadonlyMap<string, readonly string[]>;
  readonly guards: readonly string[];
  /** Frees the session. */
  release(): Promise<void>;
}

/** What is compiled. */
export interface CompileSource {
  readonly name: string;
  readonly model: Uint8Array;
  readonly options: CompileOptions;
}

/**
 * Makes a session of a serialised model.
 * @throws CadreError `invalid-argument` when ONNX Runtime refuses the model, or updates or guards name no fitting output;
 * `out-of-memory`.
 */
export async function compileProgram(
  { name, model, options }: CompileSource,
  { ort, kind, threads }: { readonly ort: typeof OnnxRuntime } & Pick<SessionPlace, "kind" | "threads">,
): Promise<EngineProgram> {
  const where = `compile(${name})`;
  let session: OnnxRuntime.InferenceSession;
  try {
    const { bytes, locations } =
      kind === "webgpu" ? prepareForWebgpu(model, options) : { bytes: model, locations: undefined };
    const place = { kind, threads, ...(locations === undefined ? {} : { locations }) };
    session = await ort.InferenceSession.create(bytes, sessionOptions(options, place));
  } catch (error) {
    throw wrapNativeError(error, { where, otherwise: "invalid-argument" });
  }
  const release = async () => {
    if (options.profilePrefix !== undefined) session.endProfiling();
    await session.release();
  };
  try {
    const updates = new Map(
      Object.entries(options.updates ?? {}).map(([slot, outputs]): [string, readonly string[]] => [
        slot,
        typeof outputs === "string" ? [outputs] : outputs,
      ]),
    );
    const guards = options.guards ?? [];
    checkOutputs(session, { where, updates, guards });
    return { name, session, updates, guards, release };
  } catch (error) {
    await release();
    throw error;
  }
}

function checkOutputs(
  { outputNames, outputMetadata }: OnnxRuntime.InferenceSession,
  { where, updates, guards }: Pick<EngineProgram, "updates" | "guards"> & { readonly where: string },
): void {
  const fail = (message: string, output: string): never => {
    throw new CadreError("invalid-argument", `${where}: ${message}`, { details: { output } });
  };
  const outputs = outputNames.join(", ");
  for (const [slot, parts] of updates) {
    for (const output of parts) {
      if (!outputNames.includes(output)) {
        fail(`expected an output for update "${slot}", got "${output}"; the graph has ${outputs}`, output);
      }
    }
  }
  for (const guard of guards) {
    const output = outputMetadata.find((candidate) => candidate.name === guard);
    if (output === undefined) fail(`expected outputs as guards, got "${guard}"; the graph has ${outputs}`, guard);
    else if (!output.isTensor || !isDType(output.type) || !isFloatDType(output.type)) {
      const found = output.isTensor ? output.type : "no tensor";
      fail(`expected float outputs as guards, got ${found} for "${guard}"; guard the loss or a norm`, guard);
    }
  }
}
