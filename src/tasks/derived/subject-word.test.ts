import { expect, test } from "vitest";
import { createRandom } from "../../core/random.js";
import { subjectWordTask } from "./subject-word.js";

const first = "The ship sailed over the grey water";
const next = "and its captain watched the waves from the deck, where Sailors slept";
const others = ["bread and butter were sold there", "they counted their money twice"];

test("the answer is a word of what follows, rivals come from elsewhere, names and words of the text are not asked for", () => {
  const passages = { first, next, others, kind: "book", kinds: ["book"] };
  let made = 0;
  for (let seed = 0; seed < 200; seed++) {
    const instance = subjectWordTask.make(passages, createRandom(seed));
    if (instance === undefined) continue;
    made++;
    const { targets, choices = [] } = instance;
    expect(choices).toHaveLength(others.length + 1);
    expect(choices).toContain(targets[0]);
    expect(next.split(" ")).toContain(targets[0]);
    expect(choices.filter((word) => next.split(" ").includes(word))).toEqual(targets);
    expect(choices.filter((word) => first.includes(word) || /[^a-z]/.test(word))).toEqual([]);
  }
  expect(made).toBeGreaterThan(150);
});

test("passages without a word to ask for give no instance", () => {
  const passages = { first, next: "It was so", others, kind: "book", kinds: ["book"] };
  expect(subjectWordTask.make(passages, createRandom(1))).toBeUndefined();
});
