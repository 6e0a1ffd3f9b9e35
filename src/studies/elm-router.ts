import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { createRandom } from "../core/random.js";
import type { TrainedSystem } from "../evaluation/trained-system.js";
import { createBm25Router } from "../routing/bm25-router.js";
import { createEmbedder } from "../routing/embedder.js";
import { describeKeyEncoder } from "../routing/key-encoder.js";
import type { PooledEncoder } from "../routing/pooled-encoder.js";
import { createRetrievalRouter } from "../routing/retrieval-router.js";
import type { Router } from "../routing/router.js";
import { DEFAULT_SEED } from "../routing/sample.js";
import { formatText, type RoutingText, routingTextOf, type TextFormat } from "../routing/text-format.js";
import type { Device } from "../runtime/device.js";
import type { UserTask } from "../tasks/user-task.js";

/** A router that may hold memory of a device. */
export type ElmRouter = Router & AsyncDisposable;

/** Makes the routers of one encoder and one text format, over any number of keys and queries. */
export interface ElmRouters {
  /**
   * @param options.keys S: keys of each expert, at most those that were embedded
   * @param options.queries Q: rows of a task that vote
   */
  open(options: { readonly keys: number; readonly queries: number }): Promise<ElmRouter>;
}

/** What experts are found by. */
export interface ElmKeys {
  readonly experts: readonly Pick<TrainedSystem, "id" | "task" | "template">[];
  /** What they were trained on. */
  readonly tasks: readonly UserTask[];
  readonly format: TextFormat;
  /** Most keys of an expert; smaller numbers are the first of them. */
  readonly most: number;
}

/** Routers by embeddings; keys are embedded once. */
export async function openElmRouters(
  { device, encoder }: { readonly device: Device; readonly encoder: PooledEncoder },
  keys: ElmKeys,
): Promise<ElmRouters> {
  const { format } = keys;
  const { width } = encoder.identity;
  const vectors: { readonly id: string; readonly keys: Float32Array }[] = [];
  for (const { id, texts } of keyTexts(keys)) {
    vectors.push({ id, keys: await encoder.pool(texts.map((text) => formatText(text, format))) });
  }
  return {
    open: ({ keys: count, queries }) =>
      createRetrievalRouter({
        device,
        embedder: createEmbedder(encoder),
        experts: vectors.map(({ id, keys: own }) => ({ id, keys: own.slice(0, count * width) })),
        keyEncoder: describeKeyEncoder(encoder.identity, format),
        vote: { queries },
      }),
  };
}

/** Routers by words. */
export function openBm25Routers(keys: ElmKeys): ElmRouters {
  const experts = keyTexts(keys);
  return {
    async open({ keys: count, queries }) {
      const router = createBm25Router({
        experts: experts.map(({ id, texts }) => ({ id, texts: texts.slice(0, count) })),
        format: keys.format,
        vote: { queries },
      });
      return { ...router, [Symbol.asyncDispose]: async () => {} };
    },
  };
}

/** A seeded sample of the training inputs of each expert. */
function keyTexts({
  experts,
  tasks,
  most,
}: ElmKeys): { readonly id: string; readonly texts: readonly RoutingText[] }[] {
  return experts.map(({ id, task: name, template }) => {
    const task = tasks.find((one) => one.name === name);
    if (task === undefined) throw new CadreError("internal", `elm: expected the task of the expert ${id}`);
    const own = task.splits.train.filter(
      (example) => template === undefined || at(task.templates, example.template).name === template,
    );
    return {
      id,
      texts: createRandom(DEFAULT_SEED)
        .shuffle([...own])
        .slice(0, most)
        .map(routingTextOf),
    };
  });
}
