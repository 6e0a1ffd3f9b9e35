import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { at } from "../../src/core/at.js";
import { createRandom } from "../../src/core/random.js";
import { createExactSearch } from "../../src/routing/exact-search.js";
import { normalizeVectors } from "../../src/routing/unit-vectors.js";
import { openDevice } from "../../src/runtime/node/open-device.js";

const device = await openDevice({ threads: 1 });
afterAll(() => device.close());

/** `[count, dimension]` of length 1; coarse ones have few distinct directions, so that many are equal. */
function unitVectors(
  count: number,
  dimension: number,
  { seed, coarse }: { seed: number; coarse: boolean },
): Float32Array {
  const random = createRandom(seed);
  const vectors = Float32Array.from({ length: count * dimension }, () =>
    coarse ? random.nextInteger(2) + 1 : random.nextNormal(),
  );
  normalizeVectors(vectors, dimension);
  return vectors;
}

/** The definition, slowly: all dot products in double precision, sorted. */
function oracle(keys: Float32Array, query: Float32Array, count: number): { position: number; score: number }[] {
  const dimension = query.length;
  return Array.from({ length: keys.length / dimension }, (_, position) => ({
    position,
    score: query.reduce((sum, value, column) => sum + value * at(keys, position * dimension + column), 0),
  }))
    .sort((left, right) => right.score - left.score || left.position - right.position)
    .slice(0, count);
}

test("finds exactly what the definition says, equal keys and all, for every size", async () => {
  const property = fc.asyncProperty(
    fc.record({
      keys: fc.integer({ min: 1, max: 90 }),
      queries: fc.integer({ min: 1, max: 5 }),
      dimension: fc.integer({ min: 1, max: 40 }),
      count: fc.integer({ min: 1, max: 12 }),
      seed: fc.nat({ max: 10_000 }),
      coarse: fc.boolean(),
    }),
    async ({ keys: keyCount, queries: queryCount, dimension, count, seed, coarse }) => {
      const keys = unitVectors(keyCount, dimension, { seed, coarse });
      const queries = unitVectors(queryCount, dimension, { seed: seed + 1, coarse });
      await using search = await createExactSearch({ device, keys, dimension });
      const found = await search.nearest(queries, count);
      expect(found.length).toBe(queryCount);
      found.forEach((nearest, query) => {
        const vector = queries.subarray(query * dimension, (query + 1) * dimension);
        expect(nearest).toEqual(oracle(keys, vector, count));
      });
    },
  );
  await fc.assert(property, { numRuns: 60 });
});

test("of 3,000 equal keys the first ones are found, whatever rounding does to their products", async () => {
  const dimension = 33;
  const one = unitVectors(1, dimension, { seed: 5, coarse: false });
  const keys = new Float32Array(3000 * dimension);
  for (let key = 0; key < 3000; key++) keys.set(one, key * dimension);
  await using search = await createExactSearch({ device, keys, dimension });
  const [alone] = await search.nearest(one, 2);
  expect(alone?.map(({ position }) => position)).toEqual([0, 1]);
});

test("keys that differ less than rounding are found in their true order", async () => {
  const [dimension, count] = [64, 2000];
  const random = createRandom(9);
  const one = unitVectors(1, dimension, { seed: 8, coarse: false });
  // Steps of one in the last place of the largest numbers: far below the rounding of a product in float32.
  const keys = Float32Array.from({ length: count * dimension }, (_, place) => {
    return at(one, place % dimension) + (random.nextInteger(3) - 1) * 2 ** -25;
  });
  await using search = await createExactSearch({ device, keys, dimension });
  expect((await search.nearest(one, 3))[0]).toEqual(oracle(keys, one, 3));
});

test("a query alone, among others, or on another number of threads finds the same bits", async () => {
  const dimension = 48;
  const keys = unitVectors(500, dimension, { seed: 1, coarse: false });
  const queries = unitVectors(9, dimension, { seed: 2, coarse: false });
  await using search = await createExactSearch({ device, keys, dimension });
  const together = await search.nearest(queries, 3);
  await using twoThreads = await openDevice({ threads: 2 });
  await using faster = await createExactSearch({ device: twoThreads, keys, dimension });
  for (let query = 0; query < 9; query++) {
    const vector = queries.subarray(query * dimension, (query + 1) * dimension);
    expect((await search.nearest(vector, 3))[0]).toEqual(together[query]);
    expect((await faster.nearest(vector, 3))[0]).toEqual(together[query]);
  }
});

test("a vector of zeros is near to nothing, and found last", async () => {
  await using search = await createExactSearch({ device, keys: Float32Array.of(0, 0, 1, 0, -1, 0), dimension: 2 });
  const [nearest] = await search.nearest(Float32Array.of(1, 0), 3);
  expect(nearest?.map(({ position }) => position)).toEqual([1, 0, 2]);
  expect((await search.nearest(Float32Array.of(0, 0), 1))[0]).toEqual([{ position: 0, score: 0 }]);
  expect(await search.nearest(new Float32Array(), 1)).toEqual([]);
});

test("bad vectors are refused, naming the first", async () => {
  const create = (keys: Float32Array, dimension: number) => createExactSearch({ device, keys, dimension });
  await expect(create(new Float32Array(), 2)).rejects.toThrow(/at least one key/);
  await expect(create(Float32Array.of(1, 0, 1), 2)).rejects.toThrow(/expected a multiple of 2 numbers/);
  await expect(create(Float32Array.of(1, 0, 1, 1), 2)).rejects.toThrow(
    /key 1: expected a vector of length 1, got 1.41/,
  );
  await expect(create(Float32Array.of(1, 0, Number.NaN, 1), 2)).rejects.toMatchObject({ code: "non-finite" });
  await expect(create(Float32Array.of(1, 0, Number.POSITIVE_INFINITY, 1), 2)).rejects.toThrow(/key 1: expected finite/);
  await using search = await create(Float32Array.of(1, 0), 2);
  await expect(search.nearest(Float32Array.of(Number.NaN, 0), 1)).rejects.toThrow(/query 0: expected finite/);
  await expect(search.nearest(Float32Array.of(1, 0), 0)).rejects.toThrow(/count of 1 or more/);
  await expect(search.nearest(Float32Array.of(1, 0), 1, { signal: AbortSignal.abort() })).rejects.toThrow(/aborted/);
  await search.close();
  await expect(search.nearest(Float32Array.of(1, 0), 1)).rejects.toMatchObject({ code: "closed" });
});
