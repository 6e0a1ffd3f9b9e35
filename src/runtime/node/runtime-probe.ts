import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { compiledUrl } from "./compiled-url.js";
import type { ProbeAnswer } from "./runtime-probe-script.js";

/** Loading takes 0.1 s and a GPU's first session some seconds, many on a busy machine; a driver that hangs must not hang the caller. */
const PATIENCE_MS = 60_000;

/** What a process that tried ONNX Runtime found. */
export type ProbeResult =
  | ({ readonly ok: true } & ProbeAnswer)
  /** `failure`: the error's message, how the process ended, and what the native library wrote. */
  | { readonly ok: false; readonly failure: string };

/** What is tried: loading alone, or running a product on a device. */
export type ProbeTarget = "load" | "webgpu" | "cuda";

/**
 * Tries ONNX Runtime in a process of its own, because a native library that does not fit a machine may end the process that loads it. Never
 * throws.
 */
export function probeRuntime(target: ProbeTarget): Promise<ProbeResult> {
  const script = fileURLToPath(compiledUrl("runtime-probe-script.js"));
  return new Promise((resolve) => {
    execFile(process.execPath, [script, target], { timeout: PATIENCE_MS }, (error, stdout, stderr) => {
      const answer = answerIn(stdout);
      if (answer !== undefined) {
        resolve("failure" in answer ? { ok: false, failure: `${answer.failure}\n${stderr}` } : { ok: true, ...answer });
        return;
      }
      const ending = error?.killed
        ? `no answer within ${PATIENCE_MS / 1000} s`
        : `its process ended by ${error?.signal ?? `exit code ${error?.code ?? 0}`}`;
      resolve({ ok: false, failure: `${ending}\n${stderr}` });
    });
  });
}

/** The script's answer is its last line: libraries may print before it. */
function answerIn(stdout: string): ProbeAnswer | { readonly failure: string } | undefined {
  try {
    // Parse boundary: only the script writes here.
    return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as ProbeAnswer | { readonly failure: string };
  } catch {
    return undefined;
  }
}
