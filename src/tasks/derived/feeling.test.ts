import { expect, test } from "vitest";
import { at } from "../../core/at.js";
import { createRandom } from "../../core/random.js";
import { feelingOf, feelingTasks } from "./feeling.js";

const WORDS = new Map([
  ["happy", 2.7],
  ["good", 1.9],
  ["awful", -2],
  ["sad", -2.1],
]);
const TEXTS = [
  "The happy child gave the good dog a ball and they ran down the hill together",
  "An awful storm came over the sad old house where nobody had lived for so many years",
  "The train left the station at noon and went along the river to the next town",
];

function made(name: string, text: string, count = 400) {
  const task = feelingTasks(WORDS).find((one) => one.name === name);
  if (task === undefined) throw new Error(`no task ${name}`);
  const passages = { first: text, next: text, others: [], kind: "book", kinds: ["book"] };
  return Array.from({ length: count }, (_, seed) => task.make(passages, createRandom(seed))).filter(
    (instance) => instance !== undefined,
  );
}

/** Where an instance's answer stands among its choices. */
const placesOf = (instances: ReturnType<typeof made>): number[] => [
  ...new Set(instances.map(({ targets, choices = [] }) => choices.indexOf(at(targets, 0)))),
];

test("a text's degree adds up its words, over the root of its length; a negation turns the next three words round", () => {
  expect(feelingOf("Happy, good day today", WORDS)).toEqual({ degree: (2.7 + 1.9) / 2, found: 2 });
  expect(feelingOf("he isn't so very happy", WORDS)).toEqual({ degree: (-0.74 * 2.7) / Math.sqrt(5), found: 1 });
  expect(feelingOf("not one of us was happy", WORDS).degree).toBeCloseTo(2.7 / Math.sqrt(6), 12);
  expect(feelingOf("", WORDS)).toEqual({ degree: 0, found: 0 });
});

test.each(["derived/feeling", "derived/pleased"])(
  "%s: a good text gets the first answer, a bad one the second, others none",
  (name) => {
    const [good = "", bad = "", neutral = ""] = TEXTS;
    expect(placesOf(made(name, good))).toEqual([0]);
    expect(placesOf(made(name, bad))).toEqual([1]);
    expect(made(name, neutral)).toEqual([]);
  },
);

test("derived/feeling-degree: a good text is neutral or better, a bad one neutral or worse, as its excerpt is", () => {
  const [good = "", bad = "", neutral = ""] = TEXTS;
  const [ofGood, ofBad] = [good, bad].map((text) => placesOf(made("derived/feeling-degree", text)));
  expect([Math.min(...(ofGood ?? [])), Math.max(...(ofGood ?? []))]).toEqual([2, 4]);
  expect([Math.min(...(ofBad ?? [])), Math.max(...(ofBad ?? []))]).toEqual([0, 2]);
  expect(placesOf(made("derived/feeling-degree", neutral))).toEqual([2]);
});

test("derived/feeling-of-words: words of one side, as often good as bad", () => {
  const instances = made("derived/feeling-of-words", "");
  const good = instances.filter(({ fields, targets, choices = [] }) => {
    const isGood = targets[0] === choices[0];
    const listed = String(fields.text).split(", ");
    expect(listed.every((word) => Math.sign(WORDS.get(word) ?? 0) === (isGood ? 1 : -1))).toBe(true);
    return isGood;
  });
  expect(instances).toHaveLength(400);
  expect(Math.abs(good.length - 200)).toBeLessThan(50);
});
