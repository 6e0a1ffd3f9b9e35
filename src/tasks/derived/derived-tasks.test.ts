import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { at } from "../../core/at.js";
import { createRandom } from "../../core/random.js";
import type { Instance } from "../task.js";
import { renderTemplate } from "../template.js";
import { type Passages, wordsOf } from "./derived-task.js";
import { derivedTasks } from "./index.js";

const WORDS =
  "When a small grey bird flew over the old garden, it saw that Garden gates were open. then Birds sang (gladly) and winter winds blew colder; nobody stayed outside except three children with wooden sledges who laughed".split(
    " ",
  );

/** A passage as it stands in a book: some words have a comma behind them, or a capital, or stand there twice. */
function passage(seed: number, length: number): string {
  const random = createRandom(77, seed);
  return Array.from({ length }, () => at(WORDS, random.nextInteger(WORDS.length))).join(" ");
}

function passagesOf(seed: number, shortest = 12): Passages {
  const random = createRandom(seed);
  const length = (): number => shortest + random.nextInteger(50);
  return {
    first: `${passage(3 * seed, length())} onlyfirst${seed % 7}`,
    next: `${passage(3 * seed + 1, length())} onlynext`,
    others: ["alpha beta gamma delta", "hotel india juliet kilo", "quebec romeo sierra tango"].map(
      (own, index) => `${passage(3 * seed + 2 + index, length())} ${own}`,
    ),
    kind: "story",
    kinds: ["book", "story"],
  };
}

interface Made {
  readonly passages: Passages;
  readonly instance: Instance;
}

function madeBy(name: string, { count = 600, shortest = 12 } = {}): Made[] {
  const task = taskOf(name);
  return Array.from({ length: count }, (_, seed) => {
    const passages = passagesOf(seed, shortest);
    const instance = task.make(passages, createRandom(1000 + seed));
    return instance === undefined ? [] : [{ passages, instance }];
  }).flat();
}

function taskOf(name: string) {
  const task = derivedTasks.find((one) => one.name === `derived/${name}`);
  if (task === undefined) throw new Error(`no derived task ${name}`);
  return task;
}

const POSITIVE = ["yes", "true", "right", "correct"];

/** Yes or no, with the choices in their usual order. */
function verdictOf({ targets, choices = [] }: Instance): boolean {
  const target = at(targets, 0);
  expect(POSITIVE).toContain(choices[0]);
  expect(POSITIVE).not.toContain(choices[1]);
  return target === choices[0];
}

function expectBalance(verdicts: readonly boolean[]): void {
  const share = verdicts.filter(Boolean).length / verdicts.length;
  // Four standard deviations.
  expect(Math.abs(share - 0.5)).toBeLessThan(2 / Math.sqrt(verdicts.length));
}

describe.each(derivedTasks.map((task) => ({ task, name: task.name })))("$name", ({ task }) => {
  test("has three templates or more that render every field, and differ", () => {
    expect(task.templates.length).toBeGreaterThanOrEqual(3);
    const instance = at(madeBy(task.name.slice("derived/".length), { count: 20 }), 0).instance;
    const inputs = task.templates.map((template) => renderTemplate(template, instance.fields));
    expect(new Set(inputs).size).toBe(inputs.length);
    for (const input of inputs) {
      for (const value of Object.values(instance.fields)) {
        expect(value).not.toBe("");
        expect(input).toContain(value);
      }
      expect(input).not.toMatch(/\{\{|\}\}|undefined/);
    }
  });

  test("is a function of passages and random numbers, and the target is among the choices", () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.integer({ min: 8, max: 20 }), (seed, shortest) => {
        const passages = passagesOf(seed, shortest);
        const instance = task.make(passages, createRandom(seed));
        expect(task.make(passages, createRandom(seed))).toEqual(instance);
        if (instance === undefined) return;
        expect(instance.targets).toHaveLength(1);
        const { choices } = instance;
        if (choices !== undefined) {
          expect(new Set(choices).size).toBe(choices.length);
          expect(choices).toContain(at(instance.targets, 0));
        }
      }),
    );
  });
});

test("names are unique", () => {
  expect(new Set(derivedTasks.map(({ name }) => name)).size).toBe(derivedTasks.length);
});

test("continuation: yes exactly where the second passage is the next one", () => {
  const made = madeBy("continuation");
  for (const { passages, instance } of made) {
    expect(instance.fields.first).toBe(passages.first);
    expect(instance.fields.second).toBe(verdictOf(instance) ? passages.next : passages.others[0]);
  }
  expectBalance(made.map(({ instance }) => verdictOf(instance)));
});

test("scrambled: no exactly where the words stand otherwise, even with few words of which most are equal", () => {
  const made = madeBy("scrambled");
  for (const { passages, instance } of made) {
    const { text = "" } = instance.fields;
    const words = wordsOf(text);
    const original = wordsOf(passages.first).slice(0, words.length);
    expect([...words].sort()).toEqual([...original].sort());
    expect(verdictOf(instance)).toBe(text === original.join(" "));
  }
  expectBalance(made.map(({ instance }) => verdictOf(instance)));
  const { make } = taskOf("scrambled");
  for (let seed = 0; seed < 2000; seed++) {
    const passages = { ...passagesOf(1), first: "so so so so so so so but" };
    const instance = make(passages, createRandom(seed));
    if (instance !== undefined) {
      expect(verdictOf(instance)).toBe(instance.fields.text === passages.first);
    }
  }
  expect(make({ ...passagesOf(1), first: "so so so so so so so so" }, createRandom(1))).toBeUndefined();
});

test("missing-word: the answer fills the blank, its rivals stand nowhere in the text", () => {
  const made = madeBy("missing-word");
  expect(made.length).toBeGreaterThan(500);
  const places = new Set<number>();
  for (const { passages, instance } of made) {
    const { text = "" } = instance.fields;
    const answer = at(instance.targets, 0);
    expect(text.replace("____", answer)).toBe(wordsOf(passages.first).slice(0, 40).join(" "));
    const { choices = [] } = instance;
    expect(choices).toHaveLength(4);
    places.add(choices.indexOf(answer));
    for (const rival of choices.filter((choice) => choice !== answer)) {
      expect(wordsOf(at(passages.others, 0))).toContain(rival);
      expect(wordsOf(text)).not.toContain(rival);
    }
  }
  expect(places.size).toBe(4);
});

test("nearby-word: the answer stands in the next passage, each rival in another, none in the text", () => {
  const made = madeBy("nearby-word");
  expect(made.length).toBeGreaterThan(300);
  const places = new Set<number>();
  for (const { passages, instance } of made) {
    const { choices = [], targets } = instance;
    const answer = at(targets, 0);
    expect(choices).toHaveLength(4);
    expect(wordsOf(passages.next)).toContain(answer);
    for (const choice of choices) {
      expect(wordsOf(passages.first)).not.toContain(choice);
    }
    const rivals = choices.filter((choice) => choice !== answer);
    expect(rivals.every((rival) => passages.others.some((other) => wordsOf(other).includes(rival)))).toBe(true);
    places.add(choices.indexOf(answer));
  }
  expect(places.size).toBe(4);
});

test("next-words: six different words of the next passage, in no order", () => {
  const made = madeBy("next-words");
  expect(made.length).toBeGreaterThan(300);
  let inOrder = 0;
  for (const { passages, instance } of made) {
    const words = wordsOf(at(instance.targets, 0));
    const next = wordsOf(passages.next);
    expect(new Set(words).size).toBe(6);
    const places = words.map((word) => next.indexOf(word));
    expect(places).not.toContain(-1);
    inOrder += places.every((place, index) => index === 0 || place > at(places, index - 1)) ? 1 : 0;
  }
  expect(inOrder).toBeLessThan(made.length / 20);
});

test("odd-word: exactly the answer is foreign", () => {
  const made = madeBy("odd-word");
  expect(made.length).toBeGreaterThan(500);
  for (const { passages, instance } of made) {
    const words = wordsOf(instance.fields.text ?? "");
    const original = wordsOf(passages.first).slice(0, words.length);
    const replaced = words.filter((word, index) => word !== original[index]);
    expect(replaced).toEqual(instance.targets);
    expect(original).not.toContain(replaced[0]);
  }
});

test("mentions: yes where the word stands by itself; no where it is in no way there", () => {
  const made = madeBy("mentions", { count: 3000 });
  expect(made.length).toBeGreaterThan(2500);
  for (const { passages, instance } of made) {
    const { text = "", word = "" } = instance.fields;
    expect(text).toBe(passages.first);
    const runs: readonly string[] = text.toLowerCase().match(/\p{L}+/gu) ?? [];
    const there = runs.some((run) => run.includes(word.toLowerCase()));
    expect(verdictOf(instance), `${word} in ${text}`).toBe(there);
  }
  expectBalance(made.map(({ instance }) => verdictOf(instance)));
});

test("kind-of-text: the kind, whatever the text", () => {
  for (const { passages, instance } of madeBy("kind-of-text", { count: 20 })) {
    expect(instance).toEqual({ fields: { text: passages.first }, targets: ["story"], choices: ["book", "story"] });
  }
});

test("which-continues: the letter of the passage that follows, both cut to one length", () => {
  const made = madeBy("which-continues");
  for (const { passages, instance } of made) {
    const { start, a = "", b = "" } = instance.fields;
    const beginning = (text: string): string => wordsOf(text).slice(0, 15).join(" ");
    expect(start).toBe(passages.first);
    expect([a, b].sort()).toEqual([beginning(passages.next), beginning(at(passages.others, 0))].sort());
    expect(instance.targets).toEqual([a === beginning(passages.next) ? "A" : "B"]);
  }
  expectBalance(made.map(({ instance }) => instance.targets[0] === "A"));
});

test("passages without usable words give no instance of the tasks that need them", () => {
  const passages: Passages = {
    first: "1 2 3 4 5 6 7 8 9",
    next: "a b c d e f g h",
    others: ["1 2 3 4 5 6 7 8"],
    kind: "k",
    kinds: ["k"],
  };
  for (const name of ["missing-word", "odd-word", "mentions", "nearby-word", "next-words"]) {
    expect(taskOf(name).make(passages, createRandom(1))).toBeUndefined();
  }
});
