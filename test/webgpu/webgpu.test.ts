import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { checkGpu } from "../../src/runtime/node/gpu-check.js";
import type { Outcome } from "./device-child.js";

/** What chromium brings where it is a package of the system: a Vulkan driver that computes on the processor. */
const SWIFTSHADER = "/usr/lib/chromium/vk_swiftshader_icd.json";
if (process.env.VK_ICD_FILENAMES === undefined && existsSync(SWIFTSHADER)) {
  process.env.VK_ICD_FILENAMES = SWIFTSHADER;
}
const missing = await checkGpu("webgpu").then(
  () => undefined,
  (error: unknown) => (error instanceof Error ? error.message : String(error)),
);
if (missing !== undefined) {
  console.warn(
    `WebGPU tests are skipped: ${missing}\nThey run on SwiftShader too: apt-get install chromium libvulkan1`,
  );
}

/** SwiftShader compiles each of some hundred shaders at its first use. */
const TIMEOUT_MS = 600_000;
/** Largest difference from the processor's numbers, relative to a tensor's largest element. */
const TOLERANCE = 1e-3;
const CASES = ["gradients", "adamw", "adafactor", "lora", "tied", "recomputed", "accumulated"];

interface Ending {
  readonly code: number | string;
  readonly lines: readonly string[];
  readonly errors: string;
}

/** Runs a script in a process of its own, which a driver may take down. */
function runChild(script: string, args: readonly string[]): Promise<Ending> {
  const path = fileURLToPath(new URL(`../../dist/test/webgpu/${script}`, import.meta.url));
  return new Promise((resolve) => {
    const options = { maxBuffer: 2 ** 26, timeout: TIMEOUT_MS };
    execFile(process.execPath, [path, ...args], options, (error, stdout, errors) => {
      resolve({
        code: error === null ? 0 : (error.signal ?? error.code ?? 1),
        lines: stdout.trim().split("\n"),
        errors,
      });
    });
  });
}

describe.skipIf(missing !== undefined)("small trainings on webgpu give what they give on the processor", () => {
  const outcomes: Record<"cpu" | "webgpu", Map<string, Outcome>> = { cpu: new Map(), webgpu: new Map() };
  beforeAll(async () => {
    for (const kind of ["cpu", "webgpu"] as const) {
      const { code, lines, errors } = await runChild("device-child.js", [kind, ...CASES]);
      expect(code, errors).toBe(0);
      for (const line of lines) {
        const outcome: Outcome = JSON.parse(line);
        outcomes[kind].set(outcome.name, outcome);
      }
    }
  }, TIMEOUT_MS);

  test.each(CASES)("%s", (name) => {
    const expected = outcomes.cpu.get(name);
    const found = outcomes.webgpu.get(name);
    if (expected === undefined || found === undefined) throw new Error(`no outcome of ${name}`);
    expect(found.losses).toHaveLength(expected.losses.length);
    expected.losses.flat().forEach((number, index) => {
      expect(Math.abs((found.losses.flat()[index] ?? Number.NaN) / number - 1), "loss or norm").toBeLessThan(TOLERANCE);
    });
    expect(Object.keys(found.tensors)).toEqual(Object.keys(expected.tensors));
    let changed = 0;
    for (const [tensor, numbers] of Object.entries(expected.tensors)) {
      const largest = Math.max(...numbers.map(Math.abs));
      const others = found.tensors[tensor] ?? [];
      expect(others).toHaveLength(numbers.length);
      const difference = Math.max(...numbers.map((number, index) => Math.abs(number - (others[index] ?? Number.NaN))));
      expect(difference, tensor).toBeLessThan(TOLERANCE * Math.max(largest, 1e-6));
      changed += difference > 0 ? 1 : 0;
    }
    // Equal bits everywhere would mean that both ran on the processor.
    expect(changed).toBeGreaterThan(0);
  });
});

describe.skipIf(missing !== undefined)("states on webgpu", () => {
  test(
    "hold what they hold on the processor: dtypes, parts, guards, closed programs, two devices at once, an end without closing",
    async () => {
      const expected = await runChild("state-child.js", ["cpu"]);
      const found = await runChild("state-child.js", ["webgpu"]);
      expect([expected.code, found.code], found.errors).toEqual([7, 7]);
      const parsed = ({ lines }: Ending) => JSON.parse(lines.at(-1) ?? "");
      expect(parsed(found)).toEqual({ ...parsed(expected), device: "webgpu" });
    },
    TIMEOUT_MS,
  );
});

describe.skipIf(missing !== undefined)("a training step on webgpu", () => {
  test(
    "leaves no product, normalisation or softmax to the processor",
    async () => {
      const { code, lines, errors } = await runChild("placement-child.js", []);
      expect(code, errors).toBe(0);
      const placed: Readonly<Record<string, readonly string[]>> = JSON.parse(lines.at(-1) ?? "");
      expect(placed.WebGpuExecutionProvider).toEqual(
        expect.arrayContaining([
          "MatMul",
          "Gemm",
          "Softmax",
          "SimplifiedLayerNormalization",
          "ScatterElements",
          "Gather",
        ]),
      );
      // Random numbers in int64, and AdamW's corrections: scalars in float64.
      const onProcessor = "Add BitwiseAnd BitwiseXor Cast Div Exp Less Mul Range Reshape Sqrt Sub".split(" ");
      expect((placed.CPUExecutionProvider ?? []).filter((operator) => !onProcessor.includes(operator))).toEqual([]);
      expect(placed.CPUExecutionProvider).toContain("BitwiseXor");
    },
    TIMEOUT_MS,
  );
});
