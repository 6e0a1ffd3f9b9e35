import { CadreError } from "../core/errors.js";
import { PEFT_PREFIX } from "../library/stored-files.js";
import type { HookPoints } from "../models/hooks.js";
import { castTensor } from "../tensors/convert.js";
import { isFloatDType } from "../tensors/dtype.js";
import { hasDType, type Tensor, tensor } from "../tensors/tensor.js";
import type { DeltaConfig } from "./delta-config.js";
import { ia3Vectors } from "./ia3.js";
import { type LoraModule, lastName, loraModules } from "./lora.js";
import { type PeftLoraOptions, parsePeftOptions } from "./peft-options.js";

/** An adapter of PEFT's as a delta. */
export interface PeftAdapter {
  readonly delta: DeltaConfig;
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Projections of the delta that the adapter leaves alone: they got values that change nothing, as PEFT itself gives them. */
  readonly neutral: readonly string[];
}

/** What PEFT saved. */
export interface PeftFiles {
  /** Content of `adapter_config.json`. */
  readonly config: unknown;
  /** Content of `adapter_model.safetensors`, by its names there. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Names the adapter in messages. */
  readonly where: string;
}

/**
 * A LoRA or (IA)³ adapter that PEFT saved, as a delta on a model. The tensors tell which projections it adapts and with which rank. Ranks or
 * scales that differ between projections (`rank_pattern`, `alpha_pattern`) become the largest rank, with zeros, and one scale, with the rest
 * of it in B: the same function up to float32 rounding; without patterns the values stay as they are.
 * @throws CadreError `unsupported` naming the option or the tensor that Cadre does not do; `mismatch` where it does not fit the model;
 * `invalid-file` where configuration and tensors contradict each other.
 */
export function readPeft({ config, tensors, where }: PeftFiles, points: HookPoints): PeftAdapter {
  const options = parsePeftOptions(config, where);
  const modules = loraModules(points);
  const byName = new Map(modules.map((module) => [moduleName(module), module]));
  const parts = new Map<string, Map<string, Tensor<"float32">>>();
  for (const [stored, value] of tensors) {
    const { module, part } = partOf(stored, { type: options.peft_type, where });
    const known = byName.get(module);
    if (known === undefined || known.lookedUp !== part.startsWith("lora_embedding")) {
      const kind = part.startsWith("lora_embedding") ? "embedding" : "projection";
      throw new CadreError(
        "mismatch",
        `${where}: found ${quote(stored)}, but the base has no ${kind} ${quote(module)}`,
      );
    }
    const found = parts.get(known.name) ?? new Map<string, Tensor<"float32">>();
    parts.set(known.name, found.set(part, asFloat32(value, `${where}: ${quote(stored)}`)));
  }
  if (parts.size === 0) throw new CadreError("invalid-file", `${where}: expected tensors of an adapter, found none`);
  const targets = [...new Set(modules.filter(({ name }) => parts.has(name)).map(({ target }) => target))];
  return options.peft_type === "LORA"
    ? readLora(parts, { options, targets: ordered(targets, options.target_modules), points, where })
    : readIa3(parts, { targets: ordered(targets, options.target_modules), points, where });
}

function readLora(
  parts: ReadonlyMap<string, ReadonlyMap<string, Tensor<"float32">>>,
  {
    options,
    targets,
    points,
    where,
  }: {
    readonly options: PeftLoraOptions;
    readonly targets: string[];
    readonly points: HookPoints;
    readonly where: string;
  },
): PeftAdapter {
  const ranks = new Set([options.r, ...Object.values(options.rank_pattern ?? {})]);
  const modules = loraModules(points).filter(({ target }) => targets.includes(target));
  const products = new Map<string, { a: Tensor<"float32">; b: Tensor<"float32">; rank: number; alpha: number }>();
  for (const adapted of modules) {
    const found = parts.get(adapted.name);
    if (found === undefined) continue;
    const module = moduleName(adapted);
    const part = adapted.lookedUp ? "lora_embedding" : "lora";
    const [a, b] = [found.get(`${part}_A`), found.get(`${part}_B`)];
    if (a === undefined || b === undefined) {
      throw new CadreError(
        "invalid-file",
        `${where}: expected both ${part}_A and ${part}_B of ${quote(module)}, found one`,
      );
    }
    const rank = a.shape[0] ?? 0;
    if (!ranks.has(rank)) {
      throw new CadreError(
        "invalid-file",
        `${where}: expected a rank of ${[...ranks].join(" or ")} as adapter_config.json says, found ${rank} at ${quote(module)}`,
      );
    }
    expectShape(a, [rank, adapted.inputs], `${where}: ${part}_A of ${quote(module)}`);
    expectShape(b, [adapted.outputs, rank], `${where}: ${part}_B of ${quote(module)}`);
    products.set(adapted.name, { a, b, rank, alpha: alphaOf(module, options, where) });
  }
  const scaleOf = ({ rank, alpha }: { rank: number; alpha: number }): number =>
    alpha / (options.use_rslora ? Math.sqrt(rank) : rank);
  const values = [...products.values()];
  const largest = values.reduce((most, { rank }) => Math.max(most, rank), 1);
  const [first = { rank: options.r, alpha: options.lora_alpha }] = values;
  const uniform = values.every(({ rank, alpha }) => rank === first.rank && alpha === first.alpha);
  const scale = scaleOf(first);
  const result = new Map<string, Tensor>();
  const neutral: string[] = [];
  for (const adapted of modules) {
    const product = products.get(adapted.name);
    if (product === undefined) neutral.push(adapted.name);
    const { a, b } = product ?? {};
    const factor = product === undefined || uniform ? 1 : scaleOf(product) / scale;
    result.set(adapted.a, resized(a, [largest, adapted.inputs]));
    result.set(adapted.b, resized(b, [adapted.outputs, largest], factor));
  }
  return {
    delta: {
      kind: "lora",
      config: uniform
        ? { rank: largest, alpha: first.alpha, rankStabilized: options.use_rslora, targets }
        : { rank: largest, alpha: scale * largest, rankStabilized: false, targets },
    },
    tensors: result,
    neutral,
  };
}

function readIa3(
  parts: ReadonlyMap<string, ReadonlyMap<string, Tensor<"float32">>>,
  { targets, points, where }: { readonly targets: string[]; readonly points: HookPoints; readonly where: string },
): PeftAdapter {
  const sides = new Map<string, "input" | "output">();
  for (const linear of points.linears) {
    const found = parts.get(linear.name);
    if (found === undefined) continue;
    const shape = found.get("ia3_l")?.shape ?? [];
    const fits = (wanted: readonly number[]): boolean => wanted.join() === shape.join();
    if (!fits([1, linear.inputs]) && !fits([linear.outputs, 1])) {
      throw new CadreError(
        "mismatch",
        `${where}: expected [1, ${linear.inputs}] or [${linear.outputs}, 1] at ${quote(linear.name)}, found [${shape.join(", ")}]`,
      );
    }
    const side = fits([1, linear.inputs]) ? "input" : "output";
    const name = lastName(linear.name);
    if ((sides.get(name) ?? side) !== side) {
      throw new CadreError(
        "unsupported",
        `${where}: it scales inputs of some and outputs of other projections "${name}", which Cadre does not do`,
      );
    }
    sides.set(name, side);
  }
  const delta = { targets, feedForwardTargets: targets.filter((name) => sides.get(name) === "input") };
  const result = new Map<string, Tensor>();
  const neutral: string[] = [];
  for (const { name, weight, scales, size } of ia3Vectors(delta, points)) {
    const found = parts.get(weight)?.get("ia3_l");
    if (found === undefined) neutral.push(weight);
    const shape = scales === "input" ? [1, size] : [size, 1];
    result.set(name, found ?? tensor("float32", shape, new Float32Array(size).fill(1)));
  }
  return { delta: { kind: "ia3", config: delta }, tensors: result, neutral };
}

/** PEFT's `get_pattern_key`: the first key that is the module's path or its end decides. */
function alphaOf(
  module: string,
  { alpha_pattern: pattern, lora_alpha: alpha }: PeftLoraOptions,
  where: string,
): number {
  for (const [key, value] of Object.entries(pattern ?? {})) {
    if (!/^\^?[A-Za-z0-9_.]+$/.test(key)) {
      throw new CadreError(
        "unsupported",
        `${where}: alpha_pattern: expected names of modules, found the pattern ${quote(key)}; write it out as names`,
      );
    }
    if (key.startsWith("^") ? module === key.slice(1) : module === key || module.endsWith(`.${key}`)) return value;
  }
  return alpha;
}

/** What PEFT calls it. */
function moduleName({ name }: LoraModule): string {
  return name.replace(/\.weight$/, "");
}

/** `base_model.model.<module>.lora_A.weight`, `….lora_embedding_A` or `base_model.model.<module>.ia3_l` in its parts. */
function partOf(
  stored: string,
  { type, where }: { readonly type: "LORA" | "IA3"; readonly where: string },
): { readonly module: string; readonly part: string } {
  const name = stored.startsWith(PEFT_PREFIX) ? stored.slice(PEFT_PREFIX.length) : "";
  const pattern = type === "LORA" ? /^(.+)\.(lora_[AB](?=\.weight$)|lora_embedding_[AB]$)/ : /^(.+)\.(ia3_l)$/;
  const [, module, part] = pattern.exec(name) ?? [];
  if (module === undefined || part === undefined) {
    const expected = type === "LORA" ? "lora_A.weight and lora_B.weight" : "ia3_l";
    throw new CadreError(
      "unsupported",
      `${where}: expected tensors ${PEFT_PREFIX}….${expected} only, found ${quote(stored)}; Cadre does not do what it is for`,
    );
  }
  return { module, part };
}

/** The targets in the configuration's order, where it lists them. */
function ordered(targets: string[], listed: string | readonly string[] | null | undefined): string[] {
  const order = Array.isArray(listed) ? listed.filter((name) => targets.includes(name)) : [];
  return [...new Set([...order, ...targets])];
}

/** A matrix in the upper left of one of zeros, times a factor; only zeros where there is none. */
function resized(
  source: Tensor<"float32"> | undefined,
  shape: readonly [number, number],
  factor = 1,
): Tensor<"float32"> {
  if (source !== undefined && factor === 1 && source.shape.join() === shape.join()) return source;
  const [rows, columns] = shape;
  const data = new Float32Array(rows * columns);
  const [sourceRows = 0, sourceColumns = 0] = source?.shape ?? [];
  for (let row = 0; row < sourceRows; row += 1) {
    for (let column = 0; column < sourceColumns; column += 1) {
      data[row * columns + column] = factor * (source?.data[row * sourceColumns + column] ?? 0);
    }
  }
  return tensor("float32", shape, data);
}

function asFloat32(value: Tensor, where: string): Tensor<"float32"> {
  const cast = isFloatDType(value.dtype) ? castTensor(value, "float32") : value;
  if (!hasDType(cast, "float32")) {
    throw new CadreError("unsupported", `${where}: expected floating-point numbers, found ${value.dtype}`);
  }
  return cast;
}

function expectShape({ shape }: Tensor, expected: readonly number[], where: string): void {
  if (shape.join() !== expected.join()) {
    throw new CadreError(
      "mismatch",
      `${where}: expected [${expected.join(", ")}] on this base, found [${shape.join(", ")}]`,
    );
  }
}

function quote(text: string): string {
  const quoted = JSON.stringify(text);
  return quoted.length > 200 ? `${quoted.slice(0, 200)}…` : quoted;
}
