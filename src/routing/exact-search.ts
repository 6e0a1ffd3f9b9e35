import { at } from "../core/at.js";
import { CadreError, throwIfAborted } from "../core/errors.js";
import type { Device, Program, State } from "../runtime/device.js";
import { hasDType } from "../tensors/tensor.js";
import { buildSearchProgram, KEYS, type QueryCount } from "./search-program.js";
import { expectUnitVectors } from "./unit-vectors.js";

/** Candidates beside those asked for, so that rounding in the product seldom asks for a second look. */
const SPARE_CANDIDATES = 15;
/** How many times as many candidates the next look takes. */
const WIDENING = 8;
/** Products of one run; four bytes each. */
const MOST_PRODUCTS = 2 ** 25;

/** A key and how near it is. */
export interface Neighbour {
  /** Position of the key, from 0. */
  readonly position: number;
  /** Dot product with the query. */
  readonly score: number;
}

/** Exact search of nearest keys on a device. */
export interface ExactSearch extends AsyncDisposable {
  /**
   * The nearest keys of each query: the `count` largest dot products, or all where there are fewer keys, largest first; of equal ones the first.
   * Scores are summed up in double precision, key by key, so neither they nor the order depend on threads, batches or other keys.
   * @param queries `[n, dimension]` of length 1 each (or 0)
   * @throws CadreError `invalid-argument`, `non-finite`, `aborted`, `closed`.
   */
  nearest(
    queries: Float32Array,
    count: number,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<readonly (readonly Neighbour[])[]>;
  close(): Promise<void>;
}

/** Options of {@link createExactSearch}. */
export interface ExactSearchOptions {
  readonly device: Device;
  /** `[n, dimension]`, vectors of length 1 (or 0, near to nothing); read again at every search, so leave them as they are. */
  readonly keys: Float32Array;
  readonly dimension: number;
}

/**
 * Prepares a search over keys, which are copied to the device once. A search is one product in float32 that finds candidates, and their exact
 * scores: where rounding leaves open whether another key belongs among the nearest, it looks at more candidates.
 * @throws CadreError `invalid-argument` without keys or for keys of another length than 1 or 0; `non-finite`; `out-of-memory`; `closed`.
 */
export async function createExactSearch({ device, keys, dimension }: ExactSearchOptions): Promise<ExactSearch> {
  const keyCount = expectUnitVectors(keys, { dimension, what: "key" });
  if (keyCount === 0) {
    throw new CadreError("invalid-argument", "search: expected at least one key, got none");
  }
  const state = await device.createState(
    new Map([[KEYS, { dtype: "float32", shape: [keyCount, dimension], data: keys }]]),
  );
  const programs = new Map<QueryCount, Promise<Program>>();
  const programFor = (queries: QueryCount): Promise<Program> => {
    const program =
      programs.get(queries) ??
      device.compile(buildSearchProgram({ keys: keyCount, dimension, queries }), { name: "search" });
    programs.set(queries, program);
    return program;
  };
  await programFor("one");
  const close = async (): Promise<void> => {
    for (const program of programs.values()) await (await program).close();
    await state.close();
  };
  const search: Search = { programFor, state, keys, dimension, keyCount };
  return {
    async nearest(queries, count, { signal } = {}) {
      const queryCount = expectUnitVectors(queries, { dimension, what: "query" });
      if (!Number.isInteger(count) || count < 1) {
        throw new CadreError("invalid-argument", `search: expected a count of 1 or more, got ${count}`);
      }
      const wanted = Math.min(count, keyCount);
      const batch = Math.max(1, Math.floor(MOST_PRODUCTS / keyCount));
      const found: (readonly Neighbour[])[] = [];
      for (let first = 0; first < queryCount; first += batch) {
        throwIfAborted(signal);
        const part = queries.subarray(first * dimension, (first + batch) * dimension);
        found.push(...(await nearestOf(search, part, { wanted, candidates: wanted + SPARE_CANDIDATES })));
      }
      return found;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface Search {
  readonly programFor: (queries: QueryCount) => Promise<Program>;
  readonly state: State;
  readonly keys: Float32Array;
  readonly dimension: number;
  readonly keyCount: number;
}

async function nearestOf(
  search: Search,
  queries: Float32Array,
  { wanted, candidates }: { readonly wanted: number; readonly candidates: number },
): Promise<readonly (readonly Neighbour[])[]> {
  const { state, dimension, keyCount } = search;
  const count = Math.min(candidates, keyCount);
  const queryCount = queries.length / dimension;
  const program = await search.programFor(queryCount === 1 ? "one" : "several");
  const { outputs } = await program.run(
    {
      queries: { dtype: "float32", shape: [queryCount, dimension], data: queries },
      count: { dtype: "int64", shape: [1], data: BigInt64Array.of(BigInt(count)) },
    },
    { state },
  );
  const { scores, positions } = outputs;
  if (!scores || !positions || !hasDType(scores, "float32") || !hasDType(positions, "int64")) {
    throw new CadreError("internal", "search: the program has not returned scores and positions");
  }
  // Of a sum of d rounded products of vectors of length 1, in whatever order; doubled, as lengths are 1 only nearly.
  const rounding = 2 * dimension * 2 ** -24;
  const found: (readonly Neighbour[])[] = [];
  for (let query = 0; query < queryCount; query++) {
    const vector = queries.subarray(query * dimension, (query + 1) * dimension);
    const exact = Array.from(positions.data.subarray(query * count, (query + 1) * count), (big): Neighbour => {
      const position = Number(big);
      return { position, score: dotProduct(search, vector, position) };
    }).sort((left, right) => right.score - left.score || left.position - right.position);
    const lastCandidate = at(scores.data, (query + 1) * count - 1);
    const settled = count === keyCount || lastCandidate + rounding < at(exact, wanted - 1).score;
    found.push(
      settled
        ? exact.slice(0, wanted)
        : at(await nearestOf(search, vector, { wanted, candidates: candidates * WIDENING }), 0),
    );
  }
  return found;
}

function dotProduct({ keys, dimension }: Search, query: Float32Array, position: number): number {
  const start = position * dimension;
  let sum = 0;
  for (let column = 0; column < dimension; column++) {
    sum += (query[column] ?? 0) * (keys[start + column] ?? 0);
  }
  return sum;
}
