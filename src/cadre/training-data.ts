import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { sha256 } from "../core/hash.js";
import type { ExpertRecipe } from "../experts/expert-recipe.js";
import { MAX_SCORED_CHOICE_TOKENS } from "../mixtures/check-task-trainable.js";
import { encodeExample, withoutWrongChoices } from "../mixtures/encode-example.js";
import { type EncodedExample, truncateExample } from "../mixtures/encoded-example.js";
import type { Example } from "../tasks/task.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";

/** An example, and what errors call it. */
export interface PlacedExample {
  readonly example: Example;
  readonly where: string;
}

/** A validation row, and the same as token ids. */
export interface ValidationRow {
  readonly example: Example;
  readonly encoded: EncodedExample;
}

/** What a training reads. */
export interface TrainingData {
  readonly name: string;
  /** Cut to the recipe's lengths; without wrong choices where the loss over choices does not count. */
  readonly train: readonly EncodedExample[];
  /** The training rows' first answers. */
  readonly trainLabels: readonly string[];
  readonly validation: readonly ValidationRow[];
  /** Every validation row has choices: accuracy by rank classification is defined. */
  readonly hasChoices: boolean;
  /** Training rows that were left out because their input is that of a validation row. */
  readonly repeatedRows: number;
  /** Rows above the recipe's `maxRows`, not trained on. */
  readonly rowsOverLimit: number;
  /** Training rows of which something was cut. */
  readonly truncatedRows: number;
  /** SHA-256 of what is trained and validated on. */
  readonly hash: string;
}

/** What `encodeTrainingData` encodes. */
export interface RowsToEncode extends Pick<TrainingData, "name" | "repeatedRows" | "rowsOverLimit"> {
  /** The task in messages. */
  readonly where: string;
  readonly train: readonly PlacedExample[];
  readonly validation: readonly PlacedExample[];
}

/**
 * Rows as token ids, cut to a recipe's lengths.
 * @throws CadreError `invalid-file` naming the row whose choices are too long for a batch; `invalid-config` where only choices would be
 * learned and no row has any.
 */
export async function encodeTrainingData(
  { name, where, train, validation, repeatedRows, rowsOverLimit }: RowsToEncode,
  { recipe, tokenizer }: { readonly recipe: ExpertRecipe; readonly tokenizer: Tokenizer },
): Promise<TrainingData> {
  const { losses, batch } = recipe;
  const limits = { inputLength: batch.inputLength, targetLength: batch.targetLength };
  let truncatedRows = 0;
  const trained = train.map(({ example, where: row }) => {
    const encoded = encodeExample(example, tokenizer);
    const seen = losses.choices > 0 ? encoded : withoutWrongChoices(encoded);
    expectChoicesFit(seen, { where: row, limit: limits.targetLength, field: "overrides.batch.targetLength" });
    const cut = truncateExample(seen, limits);
    truncatedRows += cut.inputTokensCut + cut.targetTokensCut > 0 ? 1 : 0;
    return cut.example;
  });
  const scored = validation.map(({ example, where: row }): ValidationRow => {
    const encoded = encodeExample(example, tokenizer);
    expectChoicesFit(encoded, { where: row, limit: MAX_SCORED_CHOICE_TOKENS });
    // A cut choice would be another choice; an answer that stands alone may be cut as in training.
    const targetLength = encoded.targets.length > 1 ? MAX_SCORED_CHOICE_TOKENS : limits.targetLength;
    return { example, encoded: truncateExample(encoded, { ...limits, targetLength }).example };
  });
  if (losses.tokens === 0 && trained.every(({ targets }) => targets.length < 2)) {
    throw new CadreError(
      "invalid-config",
      `${where}: expected rows with choices, since only the loss over choices counts; give choices, or overrides.losses.tokens`,
    );
  }
  return {
    name,
    train: trained,
    trainLabels: train.map(({ example }) => at(example.targets, 0)),
    validation: scored,
    hasChoices: scored.every(({ encoded }) => encoded.targets.length > 1),
    repeatedRows,
    rowsOverLimit,
    truncatedRows,
    hash: await hashExamples([...trained, ...scored.map(({ encoded }) => encoded)]),
  };
}

/** The choices where all rows have the same ones. */
export function sharedChoices(rows: readonly Pick<ValidationRow, "example">[]): string[] | undefined {
  const [first, ...others] = rows.map(({ example }) => JSON.stringify(example.choices));
  const choices = rows[0]?.example.choices;
  return choices !== undefined && others.every((text) => text === first) ? [...choices] : undefined;
}

function expectChoicesFit(
  { targets }: EncodedExample,
  { where, limit, field }: { readonly where: string; readonly limit: number; readonly field?: string },
): void {
  const tokens = targets.reduce((sum, { length }) => sum + length, 0);
  if (targets.length > 1 && tokens > limit) {
    throw new CadreError(
      "invalid-file",
      `${where}: expected choices of at most ${limit} tokens together, got ${tokens} in ${targets.length} choices; ` +
        (field === undefined ? "shorten them" : `raise ${field}, or set overrides.losses.choices to 0`),
    );
  }
}

async function hashExamples(examples: readonly EncodedExample[]): Promise<string> {
  const hashes: string[] = [];
  for (const { input, targets, correct } of examples) {
    const ids = [...input, -1, ...targets.flatMap((target) => [...target, -1]), correct];
    hashes.push(await sha256(new Uint8Array(Int32Array.from(ids).buffer)));
  }
  return sha256(new TextEncoder().encode(hashes.join()));
}
