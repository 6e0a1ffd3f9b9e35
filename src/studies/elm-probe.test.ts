import { expect, test } from "vitest";
import { ledgerEntry } from "./elm-probe.js";

test("the ledger tells changed routes from changed bits, and passes over rows of the new task", () => {
  const before = [
    { key: "a", expert: "one", scores: [-1, -2] },
    { key: "b", expert: "one", scores: [-1, -2] },
    { key: "c", expert: "one", scores: [-1, -2] },
  ];
  const after = [
    { key: "a", expert: "one", scores: [-1, -2] },
    { key: "b", expert: "one", scores: [-1, -2 - 1e-12] },
    { key: "c", expert: "two", scores: [-1, -2] },
    { key: "d", expert: "two", scores: [-1, -2] },
  ];
  expect(ledgerEntry("two", before, after)).toEqual({
    ...{ added: "two", rows: 3, kept: 2, identical: 1 },
    changed: [{ row: "c", from: "one", to: "two" }],
  });
});
