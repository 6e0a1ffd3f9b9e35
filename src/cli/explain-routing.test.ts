import { expect, test } from "vitest";
import type { AnswerRouting } from "../cadre/cadre.js";
import { explainRouting } from "./explain-routing.js";

const near = (expert: string, key: number, score: number) => ({ expert, key, score });
const routing: AnswerRouting = {
  by: "auto",
  experts: [{ id: "a", name: "tickets", weight: 1 }],
  ranking: [
    { id: "b", votes: 3 },
    { id: "a", votes: 2 },
    { id: "c", votes: 1 },
  ],
  trace: [
    {
      query: 0,
      nearest: [
        near("a", 4, 0.934),
        near("b", 1, 0.9),
        near("b", 2, 0.89),
        near("a", 0, 0.88),
        near("c", 0, 0.8),
        near("b", 0, 0.7),
      ],
    },
  ],
};
const names = new Map([
  ["a", "tickets"],
  ["b", "refunds\u001b[31m"],
  ["c", "other"],
]);
const nameOf = (id: string): string => names.get(id) ?? id;

test("a routed answer tells the nearest texts, the votes, and what else came close", () => {
  const lines = explainRouting(routing, {
    nameOf,
    textOf: (expert, key) => (expert === "c" ? undefined : `${expert} ${key}`),
  });
  expect(lines).toEqual([
    'Answered by "tickets": of all training inputs that the library remembers, one of its own is nearest to the text (likeness 0.93; 1 is the same).',
    '    0.93  "a 4"',
    '    0.88  "a 0"',
    "Of the 6 nearest ones 2 are its own.",
    '  "refunds\\u001b[31m" has 3, the nearest with likeness 0.90',
    '    0.90  "b 1"',
    '    0.89  "b 2"',
    '  "other" has 1, the nearest with likeness 0.80',
    'This was close: "refunds\\u001b[31m" could as well have been meant.',
  ]);
});

test("without stored texts it says how to have them, and nothing is close where one expert has all", () => {
  const alone: AnswerRouting = {
    ...routing,
    ranking: [{ id: "a", votes: 2 }],
    trace: [{ query: 0, nearest: [near("a", 4, 0.5), near("a", 1, 0.4)] }],
  };
  expect(explainRouting(alone, { nameOf, textOf: () => undefined })).toEqual([
    expect.stringContaining("(likeness 0.50; 1 is the same)"),
    "Of the 2 nearest ones 2 are its own; no other expert came close.",
    "(The texts of these inputs are not stored; cadre train --key-texts stores them.)",
  ]);
});

test("what was asked for is named, with weights", () => {
  const none = { ranking: [], trace: [] };
  const textOf = () => undefined;
  const list = [
    { id: "a", name: "tickets", weight: 0.5 },
    { id: "c", name: "other", weight: 1 },
  ];
  expect(explainRouting({ ...none, by: "request", experts: list }, { nameOf, textOf })).toEqual([
    'Answered by "tickets" × 0.5 and "other", as asked for.',
  ]);
  expect(explainRouting({ ...none, by: "base", experts: [] }, { nameOf, textOf })).toEqual([
    expect.stringContaining("The base answered by itself"),
  ]);
});
