import * as z from "zod";
import { parseConfig } from "../core/parse-config.js";
import { geluTanh } from "../graph/ops/activations.js";
import { add } from "../graph/ops/elementwise.js";
import { matmul } from "../graph/ops/matmul.js";
import type { Delta } from "../models/delta.js";
import type { HookPoints } from "../models/hooks.js";
import type { ParameterSpec } from "../models/parameter.js";

/** Configuration of a bottleneck delta. */
export const bottleneckConfigSchema = z.strictObject({
  /** Width between the two projections; the paper uses an 32nd of the model's width. */
  width: z.int().min(1),
});

/** What a caller writes. */
export type BottleneckConfig = z.input<typeof bottleneckConfigSchema>;

/** Standard deviation of both projections at the start (joeljang/ELM `init_linear_layer`): close to the identity. */
const INITIAL_DEVIATION = 1e-2;

/**
 * ELM's prompt expert (Jang et al. 2023; joeljang/ELM@27fc2a3 `adapter_modeling.py`): after every self-attention and every feed-forward
 * output `x` becomes `x + up(gelu(down(x)))`, both projections with bias; all normalisation weights are trained too. Cross-attention has
 * no adapter.
 */
export function bottleneck(config: BottleneckConfig, { subLayers, norms }: HookPoints): Delta {
  const { width } = parseConfig(bottleneckConfigSchema, config, {
    where: "bottleneck: expected a configuration",
    code: "invalid-argument",
  });
  const adapted = subLayers.filter(({ kind }) => kind !== "cross-attention");
  const weight = (name: string, shape: readonly number[]): ParameterSpec => ({
    name,
    shape,
    initializer: { kind: "normal", standardDeviation: INITIAL_DEVIATION },
  });
  const zero = (name: string, size: number): ParameterSpec => ({ name, shape: [size], initializer: { kind: "zeros" } });
  const adapters = adapted.flatMap(({ path, width: modelWidth }) => [
    weight(`${path}.adapter.down.weight`, [width, modelWidth]),
    zero(`${path}.adapter.down.bias`, width),
    weight(`${path}.adapter.up.weight`, [modelWidth, width]),
    zero(`${path}.adapter.up.bias`, modelWidth),
  ]);
  return {
    kind: "bottleneck",
    parameters: [...adapters, ...norms],
    hooks: (tensor) => ({
      afterSubLayer: ({ path, kind }, output) => {
        if (kind === "cross-attention") {
          return output;
        }
        const part = (name: string) => tensor(`${path}.adapter.${name}`);
        const down = add(matmul(output, part("down.weight"), { transposeB: true }), part("down.bias"));
        const up = add(matmul(geluTanh(down), part("up.weight"), { transposeB: true }), part("up.bias"));
        return add(output, up);
      },
    }),
  };
}
