import { copyFile, cp, mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { saveModelFolder } from "../../models/node/model-folder.js";
import type { T5Config } from "../../models/t5/config.js";
import { castTensor } from "../../tensors/convert.js";
import { isFloatDType } from "../../tensors/dtype.js";
import type { Tensor } from "../../tensors/tensor.js";

const TOKENIZER_FILE = /^(tokenizer.*|special_tokens_map)\.json$/;

/** Makes a base of trained weights: those of a model whose training is to go on, with the tokenizer of the first base. */
export async function saveTrainedBase(
  folder: string,
  options: { readonly config: T5Config; readonly tensors: ReadonlyMap<string, Tensor>; readonly tokenizerFrom: string },
): Promise<void> {
  const { config, tensors, tokenizerFrom } = options;
  const wide = new Map(
    [...tensors].map(([name, tensor]) => [name, isFloatDType(tensor.dtype) ? castTensor(tensor, "float32") : tensor]),
  );
  await saveModelFolder(folder, { config, tensors: wide });
  for (const file of await readdir(tokenizerFrom)) {
    if (TOKENIZER_FILE.test(file)) await copyFile(join(tokenizerFrom, file), join(folder, file));
  }
}

/** Puts an expert of one library into another of the same base, which is made if it is not there. An expert is there whole or not at all. */
export async function copyExpert(
  id: string,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<void> {
  const experts = join(to, "experts");
  await mkdir(experts, { recursive: true });
  await copyFile(join(from, "library.json"), join(to, "library.json"));
  if ((await readdir(experts)).includes(id)) return;
  const temporary = join(to, `${id}.copying`);
  await rm(temporary, { recursive: true, force: true });
  await cp(join(from, "experts", id), temporary, { recursive: true });
  await rename(temporary, join(experts, id));
}
