import { throwIfAborted } from "../core/errors.js";
import { sha256 } from "../core/hash.js";
import type { Model } from "../models/model.js";
import { bytesOfTensor } from "../tensors/tensor-bytes.js";
import type { TensorSource } from "../tensors/tensor-source.js";

/**
 * What identifies a base: SHA-256 over the architecture's name and, for every parameter that the model uses in the order of names, its name,
 * dtype, shape and the SHA-256 of its content. How the weights are divided into files, their order there, tensors that the model does not
 * use, and `config.json`, which versions of transformers write differently for one model, make no difference; one changed bit of a weight, or
 * the same weights in another precision, do.
 *
 * Reads all weights every time. A remembered hash would have to be believed by file size and time, which copies, restored backups and edits
 * within a clock's tick keep while the content changes.
 *
 * @returns 64 lower-case hexadecimal digits.
 * @throws CadreError as `TensorSource.read` says; `aborted`.
 */
export async function hashBase({
  model,
  weights,
  signal,
}: {
  readonly model: Pick<Model, "kind" | "parameters">;
  readonly weights: TensorSource;
  readonly signal?: AbortSignal;
}): Promise<string> {
  const lines = [`cadre-base 1 ${model.kind}`];
  const names = model.parameters.map(({ name }) => name).sort();
  for (const name of names) {
    throwIfAborted(signal);
    const tensor = await weights.read(name);
    lines.push(
      `${JSON.stringify(name)} ${tensor.dtype} [${tensor.shape.join(",")}] ${await sha256(bytesOfTensor(tensor))}`,
    );
  }
  return sha256(new TextEncoder().encode(`${lines.join("\n")}\n`));
}
