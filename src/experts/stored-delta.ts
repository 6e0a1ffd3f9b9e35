import { CadreError } from "../core/errors.js";
import { parseConfig } from "../core/parse-config.js";
import type { ExpertManifest } from "../library/manifest.js";
import type { Model } from "../models/model.js";
import type { Tensor } from "../tensors/tensor.js";
import { bottleneckConfigSchema } from "./bottleneck.js";
import { createDelta, type DeltaConfig } from "./delta-config.js";
import { ia3ConfigSchema } from "./ia3.js";
import { loraConfigSchema } from "./lora.js";
import { peftConfig } from "./peft.js";

/** What a manifest says of a delta. */
export type StoredDelta = ExpertManifest["delta"];

/** An expert's delta as it is stored; a library's `Expert` fits. */
export interface StoredExpert {
  readonly manifest: Pick<ExpertManifest, "delta">;
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly adapterConfig?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * A delta as a manifest says it, defaults spelled out.
 * @param delta Undefined where all weights were trained.
 * @example
 * const manifest = { name, task, origin: { kind: "trained" }, delta: storedDelta(delta) };
 * await library.add({ manifest, tensors, adapterConfig: delta && peftConfig(delta, library.base.id) });
 */
export function storedDelta(delta: DeltaConfig | undefined): StoredDelta {
  switch (delta?.kind) {
    case undefined:
      return { kind: "full", config: {} };
    case "lora":
      return { kind: "lora", config: loraConfigSchema.parse(delta.config) };
    case "bottleneck":
      return { kind: "bottleneck", config: bottleneckConfigSchema.parse(delta.config) };
    case "ia3":
      return { kind: "ia3", config: ia3ConfigSchema.parse(delta.config) };
  }
}

/**
 * The delta that a manifest says; undefined where all weights were trained.
 * @param where Names the expert in messages.
 * @throws CadreError `invalid-file` where the configuration is not one of its kind.
 */
export function parseStoredDelta({ kind, config }: StoredDelta, where: string): DeltaConfig | undefined {
  const options = { where: `${where}: expected a configuration of the kind ${kind}`, code: "invalid-file" } as const;
  switch (kind) {
    case "full":
      return undefined;
    case "lora":
      return { kind, config: parseConfig(loraConfigSchema, config, options) };
    case "bottleneck":
      return { kind, config: parseConfig(bottleneckConfigSchema, config, options) };
    case "ia3":
      return { kind, config: parseConfig(ia3ConfigSchema, config, options) };
  }
}

/**
 * Checks that manifest, PEFT configuration and, where the model is given, tensors tell of one delta.
 * @returns the delta, as `parseStoredDelta`.
 * @throws CadreError `invalid-file` where they contradict each other, `mismatch` where the tensors are none of this model.
 */
export function checkStoredExpert(
  { manifest, tensors, adapterConfig }: StoredExpert,
  { where, model }: { readonly where: string; readonly model?: Pick<Model, "parameters" | "hookPoints"> },
): DeltaConfig | undefined {
  const delta = parseStoredDelta(manifest.delta, where);
  checkAdapterConfig(adapterConfig, { delta, where });
  if (model === undefined) return delta;
  const full = delta === undefined;
  const expected = new Map(
    (full ? model.parameters : createDelta(delta, model.hookPoints).parameters).map(({ name, shape }) => [name, shape]),
  );
  const fail = (message: string): never => {
    throw new CadreError("mismatch", `${where}: ${message}; it belongs to another base or another configuration`);
  };
  for (const [name, { shape }] of tensors) {
    const wanted = expected.get(name);
    if (wanted === undefined) {
      fail(
        `found a tensor ${JSON.stringify(name).slice(0, 200)}, which a delta of kind ${manifest.delta.kind} has not`,
      );
    } else if (wanted.join() !== shape.join()) {
      fail(`expected "${name}" [${wanted.join(", ")}], found [${shape.join(", ")}]`);
    }
  }
  const missing = full ? undefined : [...expected.keys()].find((name) => !tensors.has(name));
  if (missing !== undefined) fail(`expected a tensor "${missing}", found none`);
  return delta;
}

/** What PEFT would read must be what Cadre reads. */
function checkAdapterConfig(
  found: Readonly<Record<string, unknown>> | undefined,
  { delta, where }: { readonly delta: DeltaConfig | undefined; readonly where: string },
): void {
  const expected = delta === undefined ? undefined : peftConfig(delta, "");
  const fail = (message: string): never => {
    throw new CadreError("invalid-file", `${where}: adapter_config.json: ${message}`);
  };
  if (expected === undefined || found === undefined) {
    if (expected !== found)
      fail(expected === undefined ? "expected none with this kind of delta" : "expected one, found none");
    return;
  }
  for (const [name, value] of Object.entries(expected)) {
    if (name === "base_model_name_or_path") continue;
    const stored = found[name];
    if (JSON.stringify(stored) !== JSON.stringify(value)) {
      fail(
        `expected ${name} ${JSON.stringify(value)} as the manifest says, found ${JSON.stringify(stored)?.slice(0, 200)}`,
      );
    }
  }
}
