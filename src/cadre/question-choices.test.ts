import { expect, test } from "vitest";
import type { ExpertEntry } from "../library/node/library.js";
import { createByteTokenizer } from "../tokenizers/byte-tokenizer.js";
import { createCatalog } from "./expert-catalog.js";
import { encodeQuestion, expectChoices, expectOwnChoices } from "./question-choices.js";

const tokenizer = await createByteTokenizer();
/** Does not know case. */
const deaf = { ...tokenizer, encode: (text: string) => tokenizer.encode(text.toLowerCase()) };

function entryOf(name: string, choices?: readonly string[]): ExpertEntry {
  return {
    id: `${name}-00000000`,
    manifest: {
      ...{ format: "cadre-expert", formatVersion: 1, name, role: "expert", task: "t", metrics: {}, files: {} },
      ...{ delta: { kind: "full", config: {} }, origin: { kind: "trained", recipe: {} } },
      ...{ base: { id: "b", hash: "0".repeat(64) }, created: "2026-01-01T00:00:00Z", sha256: "none" },
      ...(choices === undefined ? {} : { choices: [...choices] }),
    },
  };
}
const { select } = createCatalog(
  {
    experts: [entryOf("ab", ["a", "b"]), entryOf("also", ["a", "b"]), entryOf("ba", ["b", "a"]), entryOf("free")],
    problems: [],
  },
  { where: "library" },
);
const ownOf = (...names: string[]) => expectOwnChoices(select(names.map((id) => ({ id, weight: 1 }))));

test("labels of experts count where all that answer have the same", () => {
  expect(ownOf("ab")).toEqual(["a", "b"]);
  expect(ownOf("ab", "also")).toEqual(["a", "b"]);
  expect(() => ownOf("ab", "ba")).toThrow('"ab", "ba" answer together and do not share theirs');
  expect(() => ownOf("free")).toThrow('"free" answers, whose task has no fixed ones');
  expect(() => ownOf()).toThrow("the base answers, which has none of its own");
});

test("labels that a caller gives are two or more different ones", () => {
  expectChoices(["a", "A"]);
  for (const choices of [[], ["a"], ["a", ""], ["a", "b", "a"]]) {
    expect(() => expectChoices(choices)).toThrow(/^choices: expected two or more different labels, got /);
  }
});

test("what is no list of texts is refused in words", () => {
  for (const [choices, found] of [
    ["ab", 'a list of labels, got "ab"'],
    [null, "a list of labels, got null"],
    [["a", 2], "labels that are texts, got 2 in place 2"],
  ]) {
    expect(() => Reflect.apply(expectChoices, undefined, [choices])).toThrow(`choices: expected ${found}`);
  }
});

test("labels of equal tokens are refused, as no model can tell them apart", () => {
  const question = { input: "text", choices: ["yes", "no", "Yes"] };
  expect(encodeQuestion(question, tokenizer).targets).toHaveLength(3);
  expect(() => encodeQuestion(question, deaf)).toThrow('got "yes" and "Yes", which are the same tokens');
});
