import { expect, test } from "vitest";
import { CadreError } from "../core/errors.js";
import { tinyRecipe } from "./node/pretraining.test.helpers.js";
import { batchShapeOf, parsePretrainingRecipe } from "./pretraining-recipe.js";

function refusal(value: unknown): CadreError {
  try {
    parsePretrainingRecipe(value, "base.yaml");
  } catch (error) {
    if (CadreError.isInstance(error)) return error;
    throw error;
  }
  throw new Error("the recipe was accepted");
}

test("a recipe keeps what it says and gets the defaults of what it does not say", () => {
  const { dropout, seed, checkpointSteps, ...rest } = tinyRecipe({ text: [{ paths: ["a", "b"] }] });
  const recipe = parsePretrainingRecipe(rest, "base.yaml");
  expect(recipe).toMatchObject({
    window: 60,
    dropout: 0,
    clipNorm: 1,
    seed: 1,
    checkpointSteps: 200,
    validationSteps: 6,
  });
  expect(recipe.text).toEqual([{ paths: ["a", "b"], kind: "text", weight: 1 }]);
  expect(parsePretrainingRecipe(tinyRecipe(), "base.yaml")).toMatchObject({ dropout, seed, checkpointSteps });
  expect(parsePretrainingRecipe(tinyRecipe({ instructions: "all" }), "base.yaml").instructions).toBe("all");
});

test("all wrong fields are named at once, with the file", () => {
  const { code, message } = refusal({
    ...tinyRecipe(),
    steps: 0,
    learningRate: "fast",
    mixture: { spanCorruption: -1, prefixLm: 0, derived: 0, generated: 0, instructions: 0 },
    text: [],
    seed: 2 ** 32,
    batch: { rows: 1.5, inputLength: 8 },
    dropout: 1,
  });
  expect(code).toBe("invalid-config");
  expect(message).toContain("base.yaml: expected a recipe of cadre pretrain");
  for (const field of [
    "steps",
    "learningRate",
    "mixture.spanCorruption",
    "text",
    "seed",
    "batch.rows",
    "batch.targetLength",
    "dropout",
  ]) {
    expect(message).toContain(`at ${field}`);
  }
});

test("an unknown key is named, also within a part", () => {
  expect(refusal(tinyRecipe({ stepz: 3 })).message).toContain('"stepz"');
  expect(refusal(tinyRecipe({ text: [{ paths: ["a"], wieght: 2 }] })).message).toMatch(/"wieght"[\s\S]*at text\[0\]/);
});

test.each([undefined, null, "steps: 3", [], 7])("%j is no recipe", (value) => {
  expect(refusal(value).code).toBe("invalid-config");
});

test("a mixture of nothing and phases longer than the training are refused", () => {
  const none = { spanCorruption: 0, prefixLm: 0, derived: 0, generated: 0, instructions: 0 };
  expect(refusal(tinyRecipe({ mixture: none })).message).toMatch(/expected a share above 0\s+→ at mixture/);
  expect(refusal(tinyRecipe({ warmupSteps: 9 })).message).toMatch(
    /expected warmupSteps \+ decaySteps of at most steps\s+→ at decaySteps/,
  );
  expect(() => parsePretrainingRecipe(tinyRecipe({ warmupSteps: 8 }), "base.yaml")).not.toThrow();
});

test("a newer format is refused naming the versions, whatever else it holds", () => {
  const { code, message } = refusal({ formatVersion: 2, somethingNew: true });
  expect(code).toBe("unsupported");
  expect(message).toBe("base.yaml: expected format version 1, got 2; update cadre");
});

test("a pack has room for as many sequences as tokens", () => {
  const recipe = parsePretrainingRecipe(tinyRecipe(), "base.yaml");
  expect(batchShapeOf(recipe)).toEqual({ rows: 4, inputLength: 96, targetLength: 48, sequences: 96 });
});

test("feeling needs its words, and a start from a base leaves no room for word vectors", () => {
  const mixture = { ...(tinyRecipe().mixture as object), feeling: 0.1 };
  expect(refusal(tinyRecipe({ mixture })).message).toMatch(/expected a file of words[\s\S]*at feelingWords/);
  expect(refusal(tinyRecipe({ start: "base", wordVectors: { window: 3 } })).message).toMatch(
    /expected none beside start[\s\S]*at wordVectors/,
  );
  const recipe = parsePretrainingRecipe(tinyRecipe({ mixture, feelingWords: "words.tsv", start: "base" }), "base.yaml");
  expect(recipe).toMatchObject({ feelingWords: "words.tsv", start: "base", mixture: { subjectWord: 0, feeling: 0.1 } });
});
