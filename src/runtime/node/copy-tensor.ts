import type { Tensor } from "../../tensors/tensor.js";

/**
 * A copy of a tensor in a buffer of its own, ready to be moved to another thread. Posting the original without a transfer list
 * would copy twice (into the message, out of it) and fail for messages above 2 GB.
 */
export function copyTensor(tensor: Tensor): Tensor {
  return { dtype: tensor.dtype, shape: [...tensor.shape], data: tensor.data.slice() };
}

/** The buffers of tensors, each once, as a transfer list; shared memory stays where it is. */
export function transferListOf(tensors: Iterable<Tensor>): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { data } of tensors) if (data.buffer instanceof ArrayBuffer) buffers.add(data.buffer);
  return [...buffers];
}
