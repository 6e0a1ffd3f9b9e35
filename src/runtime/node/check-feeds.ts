import type { InferenceSession } from "onnxruntime-node";
import { CadreError } from "../../core/errors.js";
import { elementCount, type Tensor } from "../../tensors/tensor.js";

/** What is known about a feed or a slot before a run. */
export type TensorFacts = Pick<Tensor, "dtype" | "shape"> & { readonly elements: number };

/** What a run is checked against. */
export interface FeedCheck {
  /** The program's name, for messages. */
  readonly name: string;
  /** The graph's inputs. */
  readonly inputs: readonly InferenceSession.ValueMetadata[];
  readonly feeds: ReadonlyMap<string, TensorFacts>;
  /** The slots of the state; undefined when the run has none. */
  readonly slots: ReadonlyMap<string, TensorFacts> | undefined;
}

/**
 * Checks that each input of a graph has a tensor of the right dtype and shape, and that each feed has an input. ONNX Runtime
 * would find most of this too, but names neither the program nor the way out.
 * @throws CadreError `invalid-argument`
 */
export function checkFeeds({ name, inputs, feeds, slots }: FeedCheck): void {
  const fail = (expected: string, found: string, advice: string, details: Record<string, unknown>): never => {
    throw new CadreError("invalid-argument", `run(${name}): expected ${expected}, got ${found}; ${advice}`, {
      details: { program: name, ...details },
    });
  };
  const known = inputs.map((input) => input.name);
  for (const feed of feeds.keys()) {
    if (!known.includes(feed)) {
      fail(`feeds among ${listed(known)}`, `"${feed}"`, "leave it out or correct its name", { feed });
    }
  }
  // A symbolic dimension has one size in a run: symbol to the size and the input that set it.
  const sizes = new Map<string, { readonly size: number; readonly input: string }>();
  for (const input of inputs) {
    const tensor = feeds.get(input.name) ?? slots?.get(input.name);
    if (tensor === undefined) {
      const sources = slots === undefined ? "no feed and no state" : "neither a feed nor a slot of the state";
      fail(`a tensor for input "${input.name}"`, sources, "add it to the feeds or write it to the state", {
        input: input.name,
      });
      continue;
    }
    if (!input.isTensor) continue;
    const origin = feeds.has(input.name) ? "feed" : "slot";
    const advice = origin === "feed" ? "correct the feed" : "write the slot anew";
    const described = `${input.type} [${input.shape.map((size) => (size === "" ? "?" : size)).join(", ")}]`;
    const found = `${tensor.dtype} [${tensor.shape.join(", ")}]`;
    const details = { input: input.name, expected: described, found };
    const sameRank = tensor.shape.length === input.shape.length;
    // ONNX Runtime reports [] both for one number and for an unknown rank.
    const anyRank = input.shape.length === 0;
    const fits = tensor.shape.every((size, axis) => {
      const expected = input.shape[axis];
      return typeof expected !== "number" || expected === size;
    });
    if (tensor.dtype !== input.type || !(anyRank || (sameRank && fits))) {
      fail(`${described} for ${origin} "${input.name}"`, found, advice, details);
    }
    const count = elementCount(tensor.shape);
    if (count !== tensor.elements) {
      fail(
        `${count} elements for ${origin} "${input.name}" of shape [${tensor.shape.join(", ")}]`,
        `${tensor.elements}`,
        advice,
        details,
      );
    }
    for (const [axis, size] of tensor.shape.entries()) {
      const symbol = input.shape[axis];
      if (typeof symbol !== "string" || symbol === "") continue;
      const first = sizes.get(symbol);
      if (first === undefined) sizes.set(symbol, { size, input: input.name });
      else if (first.size !== size) {
        fail(
          `"${symbol}" = ${first.size} for ${origin} "${input.name}" as for "${first.input}"`,
          found,
          advice,
          details,
        );
      }
    }
  }
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? "none" : names.map((name) => `"${name}"`).join(", ");
}
