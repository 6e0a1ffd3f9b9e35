import { checkGpu, hasSwiftShader } from "./gpu-check.js";
import { SWIFTSHADER } from "./gpu-failure.js";

/**
 * Why tests on webgpu have to be skipped, which it says aloud; undefined where they can run. Where nothing else is asked for, they and the processes
 * that they start use SwiftShader.
 */
export async function missingWebgpu(): Promise<string | undefined> {
  if (process.env.VK_ICD_FILENAMES === undefined && hasSwiftShader()) {
    process.env.VK_ICD_FILENAMES = SWIFTSHADER;
  }
  const missing = await checkGpu("webgpu").then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  if (missing !== undefined) {
    console.warn(`Tests on WebGPU are skipped: ${missing}`);
  }
  return missing;
}
