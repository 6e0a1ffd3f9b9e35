import * as z from "zod";
import { CadreError } from "../core/errors.js";
import { parseConfig } from "../core/parse-config.js";

/** Fields of PEFT's `adapter_config.json` that decide what an adapter computes, as far as Cadre does the same. */
const loraSchema = z.looseObject({
  peft_type: z.literal("LORA"),
  r: z.int().min(1).default(8),
  lora_alpha: z.number().positive().default(8),
  use_rslora: z.boolean().default(false),
  alpha_pattern: z.record(z.string(), z.number().positive()).nullish(),
  rank_pattern: z.record(z.string(), z.int().min(1)).nullish(),
  target_modules: z.union([z.string(), z.array(z.string())]).nullish(),
});
const ia3Schema = z.looseObject({
  peft_type: z.literal("IA3"),
  target_modules: z.union([z.string(), z.array(z.string())]).nullish(),
});

/** What a LoRA configuration of PEFT says. */
export type PeftLoraOptions = z.output<typeof loraSchema>;
/** What an (IA)³ configuration of PEFT says. */
export type PeftIa3Options = z.output<typeof ia3Schema>;

/** Fields that are read, or that say nothing about what a saved adapter computes. */
const KNOWN_FIELDS = new Set([
  ...["peft_type", "r", "lora_alpha", "use_rslora", "alpha_pattern", "rank_pattern", "target_modules"],
  // The tensors tell which modules there are and where (IA)³ scales.
  ...["exclude_modules", "layers_to_transform", "layers_pattern", "feedforward_modules"],
  ...["base_model_name_or_path", "revision", "task_type", "inference_mode", "auto_mapping", "peft_version"],
  // Of the training, or of layers that no T5 has.
  ...["lora_dropout", "init_ia3_weights", "fan_in_fan_out", "eva_config", "ensure_weight_tying"],
  // Constants that matter only beside another field, which would be refused.
  ...["megatron_core", "qalora_group_size", "runtime_config"],
]);

/** Ways of starting LoRA that leave the base's weights as they are; PiSSA, OLoRA, CorDA and LoftQ change them. */
const HARMLESS_STARTS: readonly unknown[] = [undefined, null, true, false, "gaussian", "eva", "orthogonal"];

/**
 * Reads an `adapter_config.json`. Whatever would change what the adapter computes and Cadre does not do is refused by name, a field of a
 * newer PEFT too unless it is empty.
 * @throws CadreError `invalid-file`; `unsupported` naming kind or field.
 */
export function parsePeftOptions(config: unknown, where: string): PeftLoraOptions | PeftIa3Options {
  const { peft_type: type } = parseConfig(z.looseObject({ peft_type: z.string() }), config, {
    where: `${where}: expected PEFT's configuration of an adapter`,
    code: "invalid-file",
  });
  if (type !== "LORA" && type !== "IA3") {
    throw new CadreError(
      "unsupported",
      `${where}: expected an adapter of the type LORA or IA3, found ${JSON.stringify(type).slice(0, 100)}`,
    );
  }
  const options = parseConfig(type === "LORA" ? loraSchema : ia3Schema, config, {
    where: `${where}: expected PEFT's configuration of the type ${type}`,
    code: "invalid-file",
  });
  if (!HARMLESS_STARTS.includes(options.init_lora_weights)) {
    throw unsupported(where, {
      name: "init_lora_weights",
      value: options.init_lora_weights,
      advice:
        "such an adapter needs changed base weights: let PEFT convert it to plain LoRA (path_initial_model_for_weight_conversion)",
    });
  }
  for (const [name, value] of Object.entries(options)) {
    if (!KNOWN_FIELDS.has(name) && name !== "init_lora_weights" && !isNeutral(value)) {
      throw unsupported(where, { name, value, advice: "train the adapter without it" });
    }
  }
  return options;
}

/** What stands in a field that is not used. */
function isNeutral(value: unknown): boolean {
  if (value === null || value === false || value === "none") return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function unsupported(
  where: string,
  { name, value, advice }: { readonly name: string; readonly value: unknown; readonly advice: string },
): CadreError {
  const shown = `${JSON.stringify(name).slice(0, 100)} (${JSON.stringify(value)?.slice(0, 100)})`;
  return new CadreError("unsupported", `${where}: it uses ${shown}, which Cadre does not do; ${advice}`, {
    details: { field: name },
  });
}
