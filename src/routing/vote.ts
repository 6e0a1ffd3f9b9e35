import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import type { NearKey, QueryTrace, RouteOptions, Router, Routing } from "./router.js";
import { DEFAULT_SEED, QUERIES_PER_TASK, sampleIndices } from "./sample.js";
import { formatText, type RoutingText, type TextFormat } from "./text-format.js";

/** How votes are taken. The defaults are RoE. */
export interface VoteOptions {
  /** Nearest keys of a query that vote, one vote each; default 1. */
  readonly neighbours?: number;
  /** Most experts that answer; default 1. */
  readonly experts?: number;
  /** Most texts of a task that vote; default 32. Of more, a seeded sample. */
  readonly queries?: number;
  /** Seed of that sample, an integer in [0, 2^32); default 42. */
  readonly seed?: number;
}

/** The nearest keys of each text, nearest first: `count` of them, or all keys if there are fewer. */
export type FindNearest = (
  texts: readonly string[],
  count: number,
  options: RouteOptions,
) => Promise<readonly (readonly NearKey[])[]>;

/** Counts the votes of queries. Ties go to the expert that was voted for first, in the order of queries and then of nearness. */
export function countVotes(trace: readonly QueryTrace[], mostExperts: number): Routing {
  const votes = new Map<string, number>();
  for (const { nearest } of trace) {
    for (const { expert } of nearest) {
      votes.set(expert, (votes.get(expert) ?? 0) + 1);
    }
  }
  // The sort is stable and a map keeps the order of first votes.
  const ranking = [...votes]
    .map(([id, count]) => ({ id, votes: count }))
    .sort((left, right) => right.votes - left.votes);
  const chosen = ranking.slice(0, mostExperts);
  const total = chosen.reduce((sum, { votes: count }) => sum + count, 0);
  return { experts: chosen.map(({ id, votes: count }) => ({ id, weight: count / total })), ranking, trace };
}

/**
 * A router by vote over the keys that a search finds.
 * @throws CadreError `invalid-argument` for counts below 1.
 */
export function createVotingRouter({
  find,
  format,
  vote = {},
}: {
  readonly find: FindNearest;
  readonly format: TextFormat;
  readonly vote?: VoteOptions | undefined;
}): Router {
  const { neighbours = 1, experts = 1, queries = QUERIES_PER_TASK, seed = DEFAULT_SEED } = vote;
  for (const [name, value] of Object.entries({ neighbours, experts, queries })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new CadreError("invalid-argument", `routing: ${name}: expected a whole number of 1 or more, got ${value}`);
    }
  }
  const traceOf = async (
    texts: readonly RoutingText[],
    chosen: readonly number[],
    options: RouteOptions,
  ): Promise<QueryTrace[]> => {
    const found = await find(
      chosen.map((index) => formatText(at(texts, index), format)),
      neighbours,
      options,
    );
    return chosen.map((query, index) => ({ query, nearest: at(found, index) }));
  };
  return {
    async routeTask(texts, options = {}) {
      if (texts.length === 0) {
        throw new CadreError("invalid-argument", "routeTask: expected at least one text, got none");
      }
      const chosen = sampleIndices({ available: texts.length, most: queries, seed });
      return countVotes(await traceOf(texts, chosen, options), experts);
    },
    async routeEach(texts, options = {}) {
      if (texts.length === 0) return [];
      const trace = await traceOf(texts, [...texts.keys()], options);
      return trace.map((query) => countVotes([query], experts));
    },
  };
}
