import { at } from "../../core/at.js";
import { type EventHandler, emit } from "../../core/events.js";
import type { TrainedSystem } from "../../evaluation/trained-system.js";
import type { Library } from "../../library/node/library.js";
import { chooseAdjustment } from "../../routing/choose-adjustment.js";
import { DEFAULT_SEED, sampleIndices } from "../../routing/sample.js";
import { type RoutingText, routingTextOf } from "../../routing/text-format.js";
import type { Device } from "../../runtime/device.js";
import type { RoutingChosenEvent } from "../library-events.js";
import type { TrainingData } from "../training-data.js";
import type { KeyMaker } from "./expert-key-maker.js";
import { expertVectors } from "./library-router.js";

/** Validation inputs of a task by which routing is chosen. */
const TEXTS_PER_TASK = 24;

/**
 * Chooses how a library's embeddings are adjusted, by how many validation inputs of the trained tasks find their own expert, and records it. A
 * library with keys of fewer than two experts has nothing to choose by.
 * @throws CadreError as `chooseAdjustment` and the library's calls.
 */
export async function chooseRouting(options: {
  readonly device: Device;
  readonly library: Library;
  readonly keyMaker: KeyMaker;
  readonly parts: readonly { readonly expert: TrainedSystem; readonly part: { readonly data: TrainingData } }[];
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: EventHandler<RoutingChosenEvent> | undefined;
}): Promise<void> {
  const { device, library, keyMaker, parts, signal, onEvent } = options;
  const experts = await expertVectors(library);
  const known = new Set(experts.map(({ id }) => id));
  const seen = parts.filter(({ expert }) => known.has(expert.id));
  if (experts.length < 2 || seen.length === 0) return;
  const { adjustment, accuracies } = await chooseAdjustment({
    device,
    encoder: keyMaker.encoder,
    keyEncoder: keyMaker.record,
    experts,
    tasks: seen.map(({ expert, part }) => ({ expert: expert.id, texts: sampledTexts(part.data) })),
    ...(signal === undefined ? {} : { signal }),
  });
  await library.setRouting({ adjustment: adjustment.kind });
  const shares = Object.fromEntries(Object.entries(accuracies).map(([kind, { byText }]) => [kind, byText]));
  emit(onEvent, { type: "routing-chosen", adjustment: adjustment.kind, accuracies: shares });
}

function sampledTexts({ validation }: TrainingData): RoutingText[] {
  const indices = sampleIndices({ available: validation.length, most: TEXTS_PER_TASK, seed: DEFAULT_SEED });
  return indices.map((index) => routingTextOf(at(validation, index).example));
}
