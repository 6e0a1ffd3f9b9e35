import { afterEach, beforeAll, expect, test, vi } from "vitest";
import { at } from "../core/at.js";
import { createRandom } from "../core/random.js";
import type { ExampleStream } from "../mixtures/example-stream.js";
import { feelingTasks } from "../tasks/derived/feeling.js";
import { generatedTasks } from "../tasks/generated/index.js";
import type { Task } from "../tasks/task.js";
import { openTokenizer } from "../tokenizers/node/open-tokenizer.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { markedText, TOKENIZER_FOLDER, tinyRecipe } from "./node/pretraining.test.helpers.js";
import { type PretrainingRecipe, parsePretrainingRecipe } from "./pretraining-recipe.js";
import { type PretrainingSources, pretrainingStream } from "./pretraining-stream.js";

const NOTHING = {
  spanCorruption: 0,
  prefixLm: 0,
  derived: 0,
  generated: 0,
  instructions: 0,
  subjectWord: 0,
  feeling: 0,
};
type Mixture = PretrainingRecipe["mixture"];

let tokenizer: Tokenizer;
let sources: PretrainingSources;
const text = [1, 2].map((seed) => markedText("quokka", { seed, lines: 150 }));

const instructions: Task[] = [
  {
    name: "marked",
    definition: "Tell the kind of number.",
    templates: ["{{ input }}"],
    // Some are longer than an input of the batch.
    instances: Array.from({ length: 80 }, (_, index) => ({
      fields: { input: `numbat ${index} ${"again ".repeat((index % 10) * 8)}` },
      targets: [String(index)],
    })),
  },
];

beforeAll(async () => {
  tokenizer = await openTokenizer(TOKENIZER_FOLDER);
  sources = {
    groups: text.map((content, group) => ({
      kind: `kind ${group}`,
      weight: 1,
      texts: [{ path: `${group}.txt`, sha256: "", tokens: tokenizer.encodeWithoutEnd(content), droppedParagraphs: 0 }],
    })),
    instructions,
    feelingWords: new Map([
      ["cold", -1.5],
      ["morning", 1.2],
    ]),
  };
});
afterEach(() => {
  vi.restoreAllMocks();
});

function streamOf(mixture: Partial<Mixture>, from: PretrainingSources = sources): ExampleStream {
  const recipe = parsePretrainingRecipe(
    tinyRecipe({ mixture: { ...NOTHING, ...mixture }, feelingWords: "words.tsv" }),
    "test",
  );
  return pretrainingStream(recipe, tokenizer, from);
}

const WHOLE: Mixture = {
  ...NOTHING,
  ...{ spanCorruption: 0.4, prefixLm: 0.15, derived: 0.15, generated: 0.15, instructions: 0.15 },
};

/** Which part of the mixture an example comes from, by its tokens alone. */
function partOf({ input, targets }: ReturnType<ExampleStream["next"]>): keyof Mixture {
  const target = at(targets, 0);
  if (target[0] === tokenizer.sentinelId(0)) return "spanCorruption";
  const said = tokenizer.decode(input);
  if (said.includes("numbat")) return "instructions";
  const joined = tokenizer.decode([...input.slice(0, -1), ...target.slice(0, -1)]);
  if (text.some((content) => content.includes(joined))) return "prefixLm";
  return said.includes("quokka") ? "derived" : "generated";
}

test("every part has its share of the input tokens that are learnt from", () => {
  const stream = streamOf(WHOLE);
  const tokens: Record<keyof Mixture, number> = { ...NOTHING };
  for (let count = 0; count < 8000; count++) {
    const example = stream.next();
    tokens[partOf(example)] += Math.min(96, example.input.length);
  }
  const total = Object.values(tokens).reduce((sum, count) => sum + count, 0);
  for (const part of ["spanCorruption", "prefixLm", "derived", "generated", "instructions"] as const) {
    expect(Math.abs(tokens[part] / total - WHOLE[part]), part).toBeLessThan(0.02);
  }
});

test("every example has an input and targets that end with the end token; short choices are all there, long ones are not", () => {
  const stream = streamOf(WHOLE);
  const counts = new Set<number>();
  for (let count = 0; count < 500; count++) {
    const { input, targets, correct } = stream.next();
    counts.add(targets.length);
    expect(targets[correct]).toBeDefined();
    for (const ids of [input, ...targets]) {
      expect(ids.length).toBeGreaterThan(1);
      expect(ids.indexOf(tokenizer.endId)).toBe(ids.length - 1);
    }
    if (targets.length > 1) {
      expect(targets.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(40);
    }
  }
  expect([...counts].filter((choices) => choices > 1).length).toBeGreaterThan(1);
  expect(counts).toContain(1);
});

test("the whole mixture goes on from any position, in a stream of its own too", () => {
  const stream = streamOf(WHOLE);
  const take = (from: ExampleStream, count: number) => Array.from({ length: count }, () => from.next());
  for (const before of [0, 1, 37, 400]) {
    take(stream, before);
    const position = JSON.parse(JSON.stringify(stream.position()));
    const expected = take(stream, 60);
    const other = streamOf(WHOLE);
    take(other, 25);
    other.seek(position);
    expect(take(other, 60)).toEqual(expected);
    // Back, also over the end of an epoch of the texts.
    take(stream, 300);
    stream.seek(position);
    expect(take(stream, 60)).toEqual(expected);
  }
});

test("the seed decides the stream", () => {
  const first = (seed: number): string => {
    const recipe = parsePretrainingRecipe(tinyRecipe({ mixture: WHOLE, seed }), "test");
    const stream = pretrainingStream(recipe, tokenizer, sources);
    return JSON.stringify(Array.from({ length: 40 }, () => [...stream.next().input]));
  };
  expect(first(1)).toBe(first(1));
  expect(first(2)).not.toBe(first(1));
});

test("no held-out generated task is ever asked for text, and every training one is", () => {
  const heldOut = generatedTasks.filter(({ role }) => role === "held-out");
  expect(heldOut.length).toBeGreaterThan(0);
  const spies = new Map(generatedTasks.map((task) => [task, vi.spyOn(task, "generate")]));
  const stream = streamOf(WHOLE);
  for (let count = 0; count < 4000; count++) stream.next();
  for (const [task, spy] of spies) {
    if (task.role === "held-out") expect(spy, task.name).not.toHaveBeenCalled();
    else expect(spy, task.name).toHaveBeenCalled();
  }
});

test("nothing that only held-out generated tasks say is in the stream", () => {
  const fixedParts = (role: string): string[] =>
    generatedTasks
      .filter((task) => task.role === role)
      .flatMap(({ templates, definition }) => [definition, ...templates.flatMap((one) => one.split(/\{\{.*?\}\}/))])
      .map((part) => part.trim())
      .filter((part) => part.length >= 12);
  const training = new Set(fixedParts("training"));
  const own = fixedParts("held-out").filter((part) => ![...training].some((other) => other.includes(part)));
  expect(own.length).toBeGreaterThan(10);
  const stream = streamOf({ generated: 1 });
  const inputs = Array.from({ length: 2000 }, () => tokenizer.decode(stream.next().input)).join("\n\n");
  expect(own.filter((part) => inputs.includes(part))).toEqual([]);
});

test("texts of a kind are seen as often as their weight says", () => {
  const weighted = {
    ...sources,
    groups: sources.groups.map((group, index) => ({
      ...group,
      weight: 1 + 3 * index,
      texts: group.texts.map((one) => ({ ...one, tokens: Int32Array.from(one.tokens, () => 100 + index) })),
    })),
  };
  const sizes = weighted.groups.map(({ texts, weight }) => weight * at(texts, 0).tokens.length);
  const stream = streamOf({ prefixLm: 1 }, weighted);
  const counts = [0, 0];
  for (let count = 0; count < 3000; count++) {
    const group = at(stream.next().input, 0) - 100;
    counts[group] = at(counts, group) + 1;
  }
  expect(at(counts, 1) / 3000).toBeCloseTo(at(sizes, 1) / (at(sizes, 0) + at(sizes, 1)), 1);
});

test("a mixture that the sources cannot fill is refused in words", () => {
  expect(() => streamOf({ instructions: 1 }, { ...sources, instructions: [] })).toThrow(
    "mixture: instructions: expected instruction files with instances, got none; list some or set the share to 0",
  );
  expect(() => streamOf({})).toThrow(/expected a share above 0/);
  const short = at(sources.groups, 0);
  const groups = [{ ...short, texts: short.texts.map((one) => ({ ...one, tokens: one.tokens.subarray(0, 20) })) }];
  expect(() => streamOf({ spanCorruption: 1 }, { ...sources, groups })).toThrow(/textWindows: expected windows/);
});

test("texts without words between spaces do not make derived tasks search for ever", () => {
  const tokens = tokenizer.encodeWithoutEnd("雨が降っていた。".repeat(300));
  const groups = [{ kind: "k", weight: 1, texts: [{ path: "a", sha256: "", tokens, droppedParagraphs: 0 }] }];
  expect(() => streamOf({ derived: 1 }, { ...sources, groups })).toThrow(
    /mixture: derived: expected texts with two neighbouring passages of at least 8 words/,
  );
});

test("the part on feelings asks how texts and words of the list sound, without listing the answers", () => {
  const stream = streamOf({ feeling: 1 });
  const templates = feelingTasks(sources.feelingWords).flatMap((task) => task.templates);
  const said = Array.from({ length: 200 }, () => stream.next());
  for (const { input } of said) {
    expect(templates.some((template) => isRendered(template, tokenizer.decode(input)))).toBe(true);
  }
  const answers = said.map(({ targets, correct }) => tokenizer.decode(at(targets, correct ?? 0)));
  expect(answers).toEqual(expect.arrayContaining(["positive", "negative", "good", "bad", "yes", "no"]));
});

test("the part on subjects asks for one of eight words", () => {
  const random = createRandom(8);
  const letter = () => at([..."abcdefghijklmnopqrstuvwxyz"], random.nextInteger(26));
  const words = Array.from({ length: 4000 }, (_, index) =>
    index % 2 === 0 ? "the" : [0, 1, 2, 3].map(letter).join(""),
  );
  const tokens = tokenizer.encodeWithoutEnd(words.join(" "));
  const group = { kind: "noise", weight: 1, texts: [{ path: "noise.txt", sha256: "", tokens, droppedParagraphs: 0 }] };
  const stream = streamOf({ subjectWord: 1 }, { ...sources, groups: [group] });
  for (let count = 0; count < 50; count++) {
    const { targets } = stream.next();
    expect([1, 8]).toContain(targets.length);
  }
});

/** Whether a text is a template with something at each place of a field, and nothing more. */
function isRendered(template: string, text: string): boolean {
  const parts = template.split(/\{\{.*?\}\}/);
  return new RegExp(`^${parts.map((part) => part.replace(/[?.]/g, "\\$&")).join("[^]+")}$`).test(text);
}
