/** Names of what lies in a library. */

/** The library's own file. */
export const LIBRARY_FILE = "library.json";
/** The folder of the experts. */
export const EXPERTS_FOLDER = "experts";
/** An expert's manifest. */
export const MANIFEST_FILE = "expert.json";
/** A delta in PEFT's layout: configuration and tensors. */
export const PEFT_CONFIG_FILE = "adapter_config.json";
/** See {@link PEFT_CONFIG_FILE}. */
export const PEFT_TENSORS_FILE = "adapter_model.safetensors";
/** A delta in Cadre's own layout. */
export const DELTA_FILE = "delta.safetensors";
/** All weights of a base, trained, as a model folder has them: what `cadre train RECIPE.yaml` writes for the kind full. */
export const MODEL_FILE = "model.safetensors";
/** Where a delta's tensors lie: an expert has exactly one of these. */
export const TENSOR_FILES: readonly string[] = [PEFT_TENSORS_FILE, DELTA_FILE, MODEL_FILE];
/** An expert's keys. */
export const KEYS_FILE = "keys.safetensors";
/** The texts of the keys, where they were asked for. */
export const KEY_TEXTS_FILE = "keys.json";

/** What PEFT puts before the names of a model's modules. */
export const PEFT_PREFIX = "base_model.model.";
