import { at } from "../../core/at.js";
import { CadreError } from "../../core/errors.js";
import type {
  BeamAnswers,
  BeamRow,
  BeamSearcher,
  GeneratedPart,
  GenerationRow,
  TokenGenerator,
} from "../../generation/generation.js";
import { createTokenGenerator } from "../../generation/token-generator.js";
import type { WeightedExpert } from "../../models/packed-batch.js";
import type { AnswerGroup, AnsweringExpert } from "../answer-group.js";
import { partsByExperts } from "../expert-stack.js";
import { createModelHolder, type HeldModel, type LaneOptions } from "../held-model.js";
import { createBatcher } from "./batcher.js";
import type { Lane } from "./lanes.js";

/** Most requests of a batch: those that come later wait until the last of these is answered. */
const MOST_REQUESTS = 32;

/** Rows that one call asks for: the samples of an input. */
export interface GenerateRequest {
  readonly rows: readonly Omit<GenerationRow, "experts">[];
  /** None is the base. */
  readonly experts: readonly AnsweringExpert[];
  /** Takes a part; its `row` is a position in `rows`. @returns whether the row is to go on */
  readonly onPart: (part: GeneratedPart) => boolean;
  /** Ends the rows. */
  readonly signal: AbortSignal;
}

/** An input whose likeliest answers are searched for. */
export interface BeamRequest {
  readonly row: Omit<BeamRow, "experts">;
  /** None is the base. */
  readonly experts: readonly AnsweringExpert[];
  /** Ends the search, between two steps. */
  readonly signal: AbortSignal;
}

/** Makes text for rows of one group. Calls that come while others are answered are answered together. */
export interface GenerateLane extends Lane {
  /** Done when all rows have ended. @throws CadreError as `TokenGenerator.stream`. */
  stream(request: GenerateRequest): Promise<void>;
  /** @throws CadreError as `BeamSearcher.searchBeams`. */
  searchBeams(request: BeamRequest): Promise<BeamAnswers>;
}

/** Opens a lane. */
export function createGenerateLane(group: AnswerGroup, options: LaneOptions): GenerateLane {
  const holder = createModelHolder(group, options);
  let made: { readonly programKey: string; readonly generator: TokenGenerator & BeamSearcher } | undefined;

  const generatorOf = async ({ programKey, sources }: HeldModel): Promise<TokenGenerator & BeamSearcher> => {
    if (made?.programKey !== programKey) {
      await made?.generator.close();
      made = { programKey, generator: createTokenGenerator(sources) };
    }
    return made.generator;
  };
  const idsOf = (experts: readonly AnsweringExpert[]): WeightedExpert[] =>
    group.kind === "stacked" ? experts.map(({ expert, weight }) => ({ id: expert.key, weight })) : [];

  /** Streams have no result but their parts. Streams and searches share the model's experts: one batch at a time of both. */
  const batcher = createBatcher<GenerateRequest | BeamRequest, BeamAnswers | null>({
    most: MOST_REQUESTS,
    answer: async (requests, signal) => {
      const wanted = requests.flatMap(({ experts }) => experts.map(({ expert }) => expert));
      const results: (BeamAnswers | null)[] = [];
      for (const part of partsByExperts(requests, holder.capacity(wanted))) {
        const held = holder.hold(part.experts);
        const generator = await generatorOf(held);
        const call = { ...held.call, signal };
        const streams: GenerateRequest[] = [];
        for (const index of part.rows) {
          const request = at(requests, index);
          if ("rows" in request) streams.push(request);
          else results[index] = await search(generator, request, held.call);
        }
        await streamAll(generator, streams, call);
      }
      return requests.map((_, index) => results[index] ?? null);
    },
  });

  /** Null for a search that its caller has ended, which is no failure of those beside it. */
  const search = async (
    generator: BeamSearcher,
    { row, experts, signal }: BeamRequest,
    call: HeldModel["call"],
  ): Promise<BeamAnswers | null> => {
    if (signal.aborted) return null;
    try {
      return at(await generator.searchBeams([{ ...row, experts: idsOf(experts) }], { ...call, signal }), 0);
    } catch (error) {
      if (signal.aborted) return null;
      throw error;
    }
  };

  const streamAll = async (
    generator: TokenGenerator,
    requests: readonly GenerateRequest[],
    call: HeldModel["call"] & { readonly signal: AbortSignal },
  ): Promise<void> => {
    const waited = requests.filter(({ signal }) => !signal.aborted);
    const rows = waited.flatMap((request) => request.rows.map((row, own) => ({ request, row, own })));
    if (rows.length === 0) return;
    const stream = generator.stream(
      rows.map(({ row, request }) => ({ ...row, experts: idsOf(request.experts) })),
      call,
    );
    const listeners = waited.map((request) => ({
      signal: request.signal,
      stopAll: () => {
        for (const [row, { request: owner }] of rows.entries()) if (owner === request) stream.stop(row);
      },
    }));
    for (const { signal, stopAll } of listeners) signal.addEventListener("abort", stopAll, { once: true });
    try {
      for await (const part of stream) {
        const { request, own } = at(rows, part.row);
        if (!request.onPart({ ...part, row: own })) stream.stop(part.row);
      }
    } finally {
      for (const { signal, stopAll } of listeners) signal.removeEventListener("abort", stopAll);
    }
  };

  return {
    stream: async (request) => {
      await batcher.add(request, { signal: request.signal });
    },
    searchBeams: async (request) => {
      const found = await batcher.add(request, { signal: request.signal });
      if (found === null) throw new CadreError("internal", "generate: a beam search has found no answers");
      return found;
    },
    close: async () => {
      await made?.generator.close();
    },
  };
}
