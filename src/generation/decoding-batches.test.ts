import fc from "fast-check";
import { expect, test } from "vitest";
import { at } from "../core/at.js";
import { batchesOf, MOST_ROWS } from "./decoding-batches.js";

test("every row lies in one batch, whose shape holds it", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 2000 }), { maxLength: 80 }), (lengths) => {
      const batches = batchesOf(lengths);
      const members = batches.flatMap((batch) => batch.members);
      expect(members.toSorted((left, right) => left - right)).toEqual([...lengths.keys()]);
      for (const batch of batches) {
        expect(batch.members.length).toBeLessThanOrEqual(batch.rows);
        expect(batch.rows).toBeLessThanOrEqual(MOST_ROWS);
        expect(batch.rows * batch.inputLength).toBeLessThanOrEqual(Math.max(8192, batch.inputLength));
        for (const index of batch.members) expect(at(lengths, index)).toBeLessThanOrEqual(batch.inputLength);
      }
    }),
  );
});

test("a few shorter rows join longer ones", () => {
  expect(batchesOf([61, 28, 51, 54, 35, 60, 43, 28])).toEqual([
    { rows: 8, inputLength: 64, members: [0, 5, 3, 2, 6, 4, 1, 7] },
  ]);
});

test("short rows keep to themselves where the padding costs more than a batch", () => {
  expect(batchesOf([1000, 10])).toEqual([
    { rows: 1, inputLength: 1024, members: [0] },
    { rows: 1, inputLength: 16, members: [1] },
  ]);
  const [long, short] = batchesOf([200, ...Array.from({ length: 20 }, () => 100)]);
  expect(long).toMatchObject({ inputLength: 256, members: [0, 1, 2, 3, 4] });
  expect(short).toMatchObject({ inputLength: 128, rows: 16 });
});
