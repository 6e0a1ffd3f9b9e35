import type { InferenceSession } from "onnxruntime-node";
import type { CompileOptions, DeviceKind } from "../device.js";
import type { OutputLocation } from "./gpu-memory.js";

/** Where a program runs. */
export interface SessionPlace {
  readonly kind: DeviceKind;
  readonly threads: number;
  /** Where outputs are left that do not go to the processor's memory. */
  readonly locations?: Readonly<Record<string, OutputLocation>>;
}

/** ONNX Runtime's settings for a program, each set on purpose. */
export function sessionOptions(
  { weightsFolder, profilePrefix, prepackWeights = false }: CompileOptions,
  { kind, threads, locations }: SessionPlace,
): InferenceSession.SessionOptions {
  return {
    // What a GPU has no kernel for runs on the processor by itself.
    executionProviders: [kind],
    ...(locations === undefined ? {} : { preferredOutputLocation: locations }),
    // Threads of one operator, this thread included.
    intraOpNumThreads: threads,
    // Our graphs are chains: running operators beside each other would only take threads from within them, and a fixed order
    // is part of the promise that a run repeats bit for bit.
    interOpNumThreads: 1,
    executionMode: "sequential",
    // Our graphs say what they mean: products with their transpositions and factors, normalisations as one operator. Measured on a
    // training step of T5 v1.1 small (11,765 nodes): equal time with and without the optimizers (2.88 and 2.89 s), but 3.1 against
    // 1.1 s to create the session. Without them nothing is folded into constants and no recomputed segment is merged away.
    graphOptimizationLevel: "disabled",
    // Memory that runs reuse instead of asking the operating system anew: over 200 programs of 31 million weights resident memory
    // stays level with the arena (604 MB at the 20th and the 200th) and creeps without (541 to 591 MB in 60).
    enableCpuMemArena: true,
    // A plan of all tensors as one block is made beside the arena that the first run has filled: 7.3 instead of 4.7 GB for that
    // step, and no faster.
    enableMemPattern: false,
    // Nothing: ONNX Runtime prints errors to the terminal and then throws them, and the warnings are of no use to our users.
    logSeverityLevel: 4,
    ...(profilePrefix === undefined ? {} : { enableProfiling: true, profileFilePrefix: profilePrefix }),
    extra: {
      session: {
        // Pre-packing keeps a second copy of every constant weight, which doubles a frozen base; products of few rows gain.
        disable_prepacking: prepackWeights ? "0" : "1",
        intra_op: {
          // Idle threads of the pool sleep instead of spinning. Measured on 2 cores: on a quiet machine no difference from 1 ms
          // an operator on, beside other work 512×256 products in 29-46 instead of 77-87 ms (128×128: 2.5 instead of 2.2).
          allow_spinning: "0",
        },
        // Where the external data `location` of a model given as bytes is looked up; such weights are mapped, not read.
        ...(weightsFolder === undefined ? {} : { model_external_initializers_file_folder_path: weightsFolder }),
      },
    },
  };
}
