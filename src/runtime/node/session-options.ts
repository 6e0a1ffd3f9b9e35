import type { InferenceSession } from "onnxruntime-node";
import type { CompileOptions } from "../device.js";

/** ONNX Runtime's settings for a program, each set on purpose. */
export function sessionOptions(
  { weightsFolder, profilePrefix }: Pick<CompileOptions, "weightsFolder" | "profilePrefix">,
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
    // The CPU provider's fusions and layout changes pay on every graph that was measured.
    graphOptimizationLevel: "all",
    // Memory that runs reuse: without the arena each run asks the operating system for its activations anew.
    enableCpuMemArena: true,
    // Plans one block for activations when the shapes of a run repeat, which training batches do.
    enableMemPattern: true,
    // Errors only: warnings of the optimizer (unused initializers and the like) are of no use to a user of Cadre.
    logSeverityLevel: 3,
    ...(profilePrefix === undefined ? {} : { enableProfiling: true, profileFilePrefix: profilePrefix }),
    extra: {
      session: {
        // Pre-packing keeps a second copy of every constant weight, which doubles a frozen base.
        disable_prepacking: "1",
        intra_op: {
          // Idle threads of the pool sleep instead of spinning: data workers run beside the engine.
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
