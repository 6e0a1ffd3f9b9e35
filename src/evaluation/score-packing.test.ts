import fc from "fast-check";
import { expect, test } from "vitest";
import { at } from "../core/at.js";
import type { Row } from "../experts/rows.js";
import type { EncodedExample } from "../mixtures/encoded-example.js";
import { arbitraryExample, exampleOf } from "../mixtures/examples.test.helpers.js";
import { layOutPacks } from "../mixtures/pack.js";
import { packForScoring } from "./score-packing.js";

function tokensOf({ targets }: EncodedExample): number {
  return targets.reduce((sum, { length }) => sum + length, 0);
}

/** Rows that the base answers. */
function baseRows(examples: readonly EncodedExample[]): Row[] {
  return examples.map((example) => ({ example, experts: [] }));
}

function idsOf(row: Row): string[] {
  return row.experts.map(({ id }) => id);
}

test("every example lies in one row, and every row has room for its examples", () => {
  const examples = fc.array(arbitraryExample({ input: 700, target: 60 }), { maxLength: 60 });
  fc.assert(
    fc.property(examples, (given) => {
      const groups = packForScoring(baseRows(given));
      for (const { shape, batches } of groups) {
        for (const batch of batches) {
          // Throws where a row has no room.
          layOutPacks(
            batch.map((row) => row.map((index) => at(given, index))),
            shape,
            0,
          );
        }
      }
      const placed = groups.flatMap(({ batches }) => batches.flat(2));
      expect(placed.toSorted((left, right) => left - right)).toEqual([...given.keys()]);
    }),
    { numRuns: 50 },
  );
});

test("little is padding: 300 examples of 20 to 60 tokens with 4 choices", () => {
  const examples = Array.from({ length: 300 }, (_, index) =>
    exampleOf(index, { input: 20 + ((index * 7) % 41), targets: [2, 3, 2, 5] }),
  );
  const [group, ...others] = packForScoring(baseRows(examples));
  expect(others).toEqual([]);
  const cells = (length: number | undefined): number =>
    (group?.batches.length ?? 0) * (group?.shape.rows ?? 0) * (length ?? 0);
  const inputs = examples.reduce((sum, { input }) => sum + input.length, 0);
  const targets = examples.reduce((sum, example) => sum + tokensOf(example), 0);
  expect(inputs / cells(group?.shape.inputLength)).toBeGreaterThan(0.8);
  expect(targets / cells(group?.shape.targetLength)).toBeGreaterThan(0.6);
});

test("short inputs stay apart from long ones", () => {
  const lengths = [10, 400, 100, 129, 512, 30];
  const groups = packForScoring(baseRows(lengths.map((input, seed) => exampleOf(seed, { input, targets: [2, 2] }))));
  expect(groups.map(({ shape }) => shape.inputLength)).toEqual([128, 192, 512]);
  expect(groups.map(({ batches }) => batches.flat(2).toSorted((left, right) => left - right))).toEqual([
    [0, 2, 5],
    [3],
    [1, 4],
  ]);
});

test("a single row pays for itself alone", () => {
  const [group, ...others] = packForScoring(baseRows([exampleOf(1, { input: 40, targets: [2, 3, 2, 2] })]));
  expect(others).toEqual([]);
  expect(group?.shape).toMatchObject({ rows: 1, inputLength: 48, targetLength: 16 });
});

test("rows of many experts take hardly more than those of one", () => {
  const cells = (experts: number): number => {
    const rows = Array.from(
      { length: 32 },
      (_, index): Row => ({
        example: exampleOf(index, { input: 20 + ((index * 7) % 41), targets: [2, 3, 2, 2] }),
        experts: [{ id: `expert ${index % experts}`, weight: 1 }],
      }),
    );
    return packForScoring(rows).reduce(
      (sum, { shape, batches }) => sum + batches.length * shape.rows * (shape.inputLength + shape.targetLength),
      0,
    );
  };
  expect(cells(1) / cells(32)).toBeGreaterThan(0.8);
  expect(cells(1) / cells(8)).toBeGreaterThan(0.8);
});

test("calls with nearly as many examples share a shape", () => {
  const shapeOf = (count: number) =>
    packForScoring(
      baseRows(Array.from({ length: count }, (_, seed) => exampleOf(seed, { input: 128, targets: [4, 4] }))),
    )[0]?.shape;
  expect(shapeOf(31)).toEqual(shapeOf(32));
});

test("no examples, no batches", () => {
  expect(packForScoring([])).toEqual([]);
});

test("no pack has more experts than it may, unless one row alone names them", () => {
  const ids = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e"), { maxLength: 4 });
  const rows = fc.array(fc.tuple(arbitraryExample({ input: 100, target: 20 }), ids), { maxLength: 50 });
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 3 }), (drawn, perPack) => {
      const given = drawn.map(([example, own]): Row => ({ example, experts: own.map((id) => ({ id, weight: 0.5 })) }));
      const groups = packForScoring(given, { perPack });
      const packs = groups.flatMap(({ batches }) => batches.flat());
      expect(packs.flat().toSorted((left, right) => left - right)).toEqual([...given.keys()]);
      for (const pack of packs) {
        const members = pack.map((index) => at(given, index));
        const experts = new Set(members.flatMap(idsOf));
        const most = Math.max(...members.map((row) => row.experts.length));
        expect(experts.size).toBeLessThanOrEqual(Math.max(perPack, most));
      }
    }),
    { numRuns: 50 },
  );
});

test("rows of equal experts share packs, and rows of the base fill them up", () => {
  const rows = Array.from({ length: 96 }, (_, index): Row => {
    const experts = index % 4 === 3 ? [] : [{ id: `expert ${index % 4}`, weight: 1 }];
    return { example: exampleOf(index, { input: 12, targets: [2, 2] }), experts };
  });
  const packs = packForScoring(rows).flatMap(({ batches }) => batches.flat());
  // As many as if all rows had the same experts.
  expect(packs).toHaveLength(
    packForScoring(rows.map((row) => ({ ...row, experts: [] })))[0]?.batches.flat().length ?? 0,
  );
  for (const pack of packs) {
    expect(new Set(pack.flatMap((index) => idsOf(at(rows, index)))).size).toBeLessThanOrEqual(1);
  }
});

test("the shape does not depend on which experts answer", () => {
  const rows = (ids: readonly string[]): Row[] =>
    Array.from({ length: 32 }, (_, index) => ({
      example: exampleOf(index, { input: 128, targets: [4, 4] }),
      experts: [{ id: at(ids, index % ids.length), weight: 1 }],
    }));
  const shapes = [["a"], ["b"], ["a", "b", "c"]].map((ids) => packForScoring(rows(ids)).map(({ shape }) => shape));
  expect(shapes[1]).toEqual(shapes[0]);
  expect(shapes[2]).toEqual(shapes[0]);
});
