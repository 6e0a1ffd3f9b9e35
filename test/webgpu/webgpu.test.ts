import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { missingWebgpu } from "../../src/runtime/node/webgpu.test.helpers.js";
import { ANSWER_CASES } from "./answer-cases.js";
import type { Outcome } from "./device-child.js";
import { TRAINING_CASES } from "./training-cases.js";

const missing = await missingWebgpu();

/** SwiftShader compiles each of some hundred shaders at its first use. */
const TIMEOUT_MS = 1_200_000;
/** Largest difference from the processor's numbers, relative to a tensor's largest element. */
const TOLERANCE = 1e-3;

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

describe.skipIf(missing !== undefined).each([
  ["small trainings", TRAINING_CASES],
  ["scores and answers", ANSWER_CASES],
])("%s on webgpu are those of the processor", (_, cases) => {
  const names = Object.keys(cases);
  const outcomes: Record<"cpu" | "webgpu", Map<string, Outcome>> = { cpu: new Map(), webgpu: new Map() };
  beforeAll(async () => {
    for (const kind of ["cpu", "webgpu"] as const) {
      const { code, lines, errors } = await runChild("device-child.js", [kind, ...names]);
      expect(code, errors).toBe(0);
      for (const line of lines) {
        const outcome: Outcome = JSON.parse(line);
        outcomes[kind].set(outcome.name, outcome);
      }
    }
  }, 2 * TIMEOUT_MS);

  test.each(names)("%s", (name) => {
    const expected = outcomes.cpu.get(name);
    const found = outcomes.webgpu.get(name);
    if (expected === undefined || found === undefined) throw new Error(`no outcome of ${name}`);
    expect(found.tokens).toEqual(expected.tokens);
    expect(Object.keys(found.numbers)).toEqual(Object.keys(expected.numbers));
    let changed = 0;
    for (const [what, numbers] of Object.entries(expected.numbers)) {
      const largest = Math.max(...numbers.map(Math.abs));
      const others = found.numbers[what] ?? [];
      expect(others, what).toHaveLength(numbers.length);
      const difference = Math.max(...numbers.map((number, index) => Math.abs(number - (others[index] ?? Number.NaN))));
      expect(difference, what).toBeLessThan(TOLERANCE * Math.max(largest, 1e-6));
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
