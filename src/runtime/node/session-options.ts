import type { InferenceSession } from "onnxruntime-node";
import type { CompileOptions } from "../device.js";

/** ONNX Runtime's settings for a program, each set on purpose. */
export function sessionOptions(
  { weightsFolder, profilePrefix, prepackWeights = false }: CompileOptions,
  { threads }: { readonly threads: number },
): InferenceSession.SessionOptions {
  return {
    executionProviders: ["cpu"],
    // Threads of one operator, this thread included.
    intraOpNumThreads: threads,
    // Our graphs are chains: running operators beside each other would only take threads from within them, and a fixed order
    // is part of the promise that a run repeats bit for bit.
    interOpNumThreads: 1,
    executionMode: "sequential",
    // With the CPU provider's own fusions and layout changes.
    graphOptimizationLevel: "all",
    // Memory that runs reuse instead of asking the operating system anew, planned as one block when shapes repeat, as training
    // batches do. Measured: no difference in time for large operators; over 200 programs of 31 million weights resident memory
    // stays level with the arena (604 MB at the 20th and the 200th) and creeps without (541 to 591 MB in 60).
    enableCpuMemArena: true,
    enableMemPattern: true,
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
      optimization: {
        // It would merge a recomputed segment with the first computation, and so keep the activations that recomputing frees.
        disable_specified_optimizers: "CommonSubexpressionElimination",
      },
    },
  };
}
