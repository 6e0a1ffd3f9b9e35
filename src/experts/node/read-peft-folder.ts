import { stat } from "node:fs/promises";
import { join } from "node:path";
import { CadreError } from "../../core/errors.js";
import { readJson } from "../../core/node/json.js";
import { MAX_PEFT_CONFIG_BYTES } from "../../library/node/expert-folder.js";
import { PEFT_CONFIG_FILE, PEFT_TENSORS_FILE } from "../../library/stored-files.js";
import type { HookPoints } from "../../models/hooks.js";
import { openSafetensors } from "../../tensors/node/safetensors-file.js";
import type { Tensor } from "../../tensors/tensor.js";
import { type PeftAdapter, readPeft } from "../peft-read.js";

const PICKLE = "adapter_model.bin";

/** An adapter's folder, read. */
export interface PeftFolder extends PeftAdapter {
  /** Content of its `adapter_config.json`. */
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * Reads a folder that PEFT saved: `adapter_config.json` and `adapter_model.safetensors`. The adapter does not say which weights it was trained
 * on; only names and shapes can be compared with the model.
 * @throws CadreError `not-found`; `unsupported` also for pickled tensors (the message has the command that converts them); the rest as `readPeft`.
 */
export async function readPeftFolder(folder: string, points: HookPoints): Promise<PeftFolder> {
  const configPath = join(folder, PEFT_CONFIG_FILE);
  const config = await readJson(configPath, { maxBytes: MAX_PEFT_CONFIG_BYTES, uniqueKeys: true });
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    throw new CadreError("invalid-file", `${configPath}: expected a JSON object`, { details: { path: configPath } });
  }
  const path = join(folder, PEFT_TENSORS_FILE);
  if (!(await isFile(path)) && (await isFile(join(folder, PICKLE)))) {
    throw new CadreError(
      "unsupported",
      `${folder}: found tensors as ${PICKLE}; a pickle can run any code when it is loaded, so Cadre reads safetensors only. ` +
        'If you trust it, convert it once in its folder: python3 -c "import torch; from safetensors.torch import save_file; ' +
        `save_file(torch.load('${PICKLE}', weights_only=True), '${PEFT_TENSORS_FILE}', metadata={'format': 'pt'})"`,
      { details: { path: folder } },
    );
  }
  await using file = await openSafetensors(path);
  const tensors = new Map<string, Tensor>();
  for (const name of file.tensors.keys()) tensors.set(name, await file.read(name));
  return { ...readPeft({ config, tensors, where: folder }, points), config: { ...config } };
}

async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true;
}
