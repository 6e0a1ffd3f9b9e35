import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { createRandom, hashText, type Random } from "../core/random.js";
import { encodeExample, withoutWrongChoices } from "../mixtures/encode-example.js";
import type { EncodedExample } from "../mixtures/encoded-example.js";
import {
  type ExampleStream,
  generatedStream,
  mappedStream,
  mixedStream,
  type Stream,
  shuffledStream,
} from "../mixtures/example-stream.js";
import { formatInstruction } from "../mixtures/instruction-format.js";
import { textWindows } from "../mixtures/text-windows.js";
import { type DerivedTask, wordsOf } from "../tasks/derived/derived-task.js";
import { type FeelingWords, feelingTasks } from "../tasks/derived/feeling.js";
import { derivedTasks } from "../tasks/derived/index.js";
import { subjectWordTask } from "../tasks/derived/subject-word.js";
import type { GeneratedTask } from "../tasks/generated/generated-task.js";
import { generatedTasks } from "../tasks/generated/index.js";
import type { Example, Instance, Task } from "../tasks/task.js";
import { renderExample } from "../tasks/template.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { splitPrefix } from "../training/objectives/prefix-lm.js";
import { corruptSpans } from "../training/objectives/span-corruption.js";
import type { PretrainingText } from "./node/pretraining-text.js";
import type { PretrainingRecipe } from "./pretraining-recipe.js";

/** T5: 15 % of the tokens in spans of 3 on average. */
export const NOISE = { rate: 0.15, meanSpan: 3 };

/** Examples whose mean length tells how often a part is to be drawn for its share of the tokens; lengths of instructions differ a lot. */
const MEASURED_EXAMPLES = 500;

/** Most tokens of all choices of an example together: longer ones would leave no room for others; their example is learnt from its answer alone. */
const MAX_CHOICE_TOKENS = 40;

/** Passages from elsewhere that a derived task may use. */
const OTHERS = 3;

/** Tasks that are derived from text and drawn equally often. */
interface DerivedPart {
  readonly name: string;
  readonly tasks: readonly DerivedTask[];
  /** Passages from elsewhere that the tasks may use. */
  readonly others: number;
  /** Whether the input lists the choices. Where it does not, the text alone must tell. */
  readonly isListed: boolean;
}

/** Eight choices: many more would have no room for their loss. */
const subjectWordPart: DerivedPart = { name: "subjectWord", tasks: [subjectWordTask], others: 7, isListed: false };

const feelingPart = { name: "feeling", others: 0, isListed: false };

/** Passages that are tried for one derived example before the texts are said to hold none. */
const DERIVED_ATTEMPTS = 10_000;

/** Tokens of the passages that tasks are derived from. */
const PASSAGE = { minimum: 25, maximum: 90 };

/** Fewest words of such a passage. */
const PASSAGE_WORDS = 8;

/** Texts of one kind. */
export interface TextGroup {
  readonly kind: string;
  readonly weight: number;
  readonly texts: readonly PretrainingText[];
}

/** What a pre-training learns from. */
export interface PretrainingSources {
  readonly groups: readonly TextGroup[];
  readonly instructions: readonly Task[];
  /** Empty where the recipe names none. */
  readonly feelingWords: FeelingWords;
}

/**
 * The endless stream of a pre-training: denoised and continued windows of text, tasks derived from text, generated tasks, and instruction
 * data, mixed by their shares of input tokens. A function of recipe, tokenizer and sources alone.
 * @throws CadreError `invalid-argument` where the mixture asks for something that the sources do not hold.
 */
export function pretrainingStream(
  recipe: PretrainingRecipe,
  tokenizer: Tokenizer,
  { groups, instructions, feelingWords }: PretrainingSources,
): ExampleStream {
  const { mixture, seed } = recipe;
  const endId = tokenizer.endId;
  const windows = (name: string): Stream<Int32Array> =>
    mixedStream(
      groups.map(({ texts, weight }, group) => ({
        weight: weight * tokensOf(texts),
        stream: textWindows(
          texts.map(({ tokens }) => tokens),
          { length: recipe.window, seed: hashText(`${seed} ${name} ${group}`) },
        ),
      })),
      hashText(`${seed} ${name}`),
    );
  const derived = (part: DerivedPart): ExampleStream => derivedStream({ seed, tokenizer, groups }, part);
  const parts: { readonly share: number; readonly stream: () => ExampleStream }[] = [
    {
      share: mixture.spanCorruption,
      stream: () =>
        mappedStream(windows("spans"), (tokens, index) =>
          corruptSpans(
            tokens,
            { ...NOISE, sentinelId: tokenizer.sentinelId, sentinels: tokenizer.sentinelCount, endId },
            randomOf(seed, "span noise", index),
          ),
        ),
    },
    {
      share: mixture.prefixLm,
      stream: () =>
        mappedStream(windows("prefix"), (tokens, index) =>
          splitPrefix(tokens, { maxTarget: recipe.batch.targetLength - 1, endId }, randomOf(seed, "cuts", index)),
        ),
    },
    {
      share: mixture.derived,
      stream: () => derived({ name: "derived", tasks: derivedTasks, others: OTHERS, isListed: true }),
    },
    { share: mixture.generated, stream: () => generatedTaskStream(seed, tokenizer) },
    { share: mixture.instructions, stream: () => instructionStream(seed, tokenizer, instructions) },
    { share: mixture.subjectWord, stream: () => derived(subjectWordPart) },
    { share: mixture.feeling, stream: () => derived({ ...feelingPart, tasks: feelingTasks(feelingWords) }) },
  ];
  const used = parts.filter(({ share }) => share > 0);
  if (used.length === 0) {
    throw new CadreError("invalid-argument", "mixture: expected a share above 0, got none");
  }
  return mixedStream(
    used.map(({ share, stream }) => ({
      weight: share / meanInputLength(stream(), recipe.batch.inputLength),
      stream: stream(),
    })),
    hashText(`${seed} mixture`),
  );
}

function tokensOf(texts: readonly PretrainingText[]): number {
  return texts.reduce((sum, { tokens }) => sum + tokens.length, 0);
}

/** @param longest what is cut off behind it is not learnt from. */
function meanInputLength(stream: ExampleStream, longest: number): number {
  let tokens = 0;
  for (let count = 0; count < MEASURED_EXAMPLES; count++) {
    tokens += Math.min(longest, stream.next().input.length);
  }
  return tokens / MEASURED_EXAMPLES;
}

function randomOf(seed: number, purpose: string, index: number): Random {
  return createRandom(hashText(`${seed} ${purpose} ${Math.floor(index / 2 ** 32)}`), index % 2 ** 32);
}

/** With its choices, unless they are too long or the answer is none of them. */
function encodeTask(tokenizer: Tokenizer, { input, targets, choices }: Example): EncodedExample {
  const answerable = choices?.some((choice) => targets.includes(choice)) === true;
  const example = encodeExample({ input, targets, ...(answerable ? { choices } : {}) }, tokenizer);
  const tokens = example.targets.reduce((sum, { length }) => sum + length, 0);
  return tokens > MAX_CHOICE_TOKENS ? withoutWrongChoices(example) : example;
}

function generatedTaskStream(seed: number, tokenizer: Tokenizer): ExampleStream {
  const tasks = generatedTasks.filter(({ role }) => role === "training");
  return generatedStream((index) => {
    const random = randomOf(seed, "generated tasks", index);
    const task: GeneratedTask = at(tasks, random.nextInteger(tasks.length));
    return encodeTask(tokenizer, formatInstruction(task, task.generate(random), random));
  });
}

function instructionStream(seed: number, tokenizer: Tokenizer, tasks: readonly Task[]): ExampleStream {
  if (tasks.length === 0) {
    throw new CadreError(
      "invalid-argument",
      "mixture: instructions: expected instruction files with instances, got none; list some or set the share to 0",
    );
  }
  const pairs: { readonly task: Task; readonly instance: Instance }[] = tasks.flatMap((task) =>
    task.instances.map((instance) => ({ task, instance })),
  );
  return mappedStream(shuffledStream(pairs, hashText(`${seed} instructions`)), ({ task, instance }, index) =>
    encodeTask(tokenizer, formatInstruction(task, instance, randomOf(seed, "wordings", index))),
  );
}

function derivedStream(
  {
    seed,
    tokenizer,
    groups,
  }: { readonly seed: number; readonly tokenizer: Tokenizer; readonly groups: readonly TextGroup[] },
  part: DerivedPart,
): ExampleStream {
  const sizes = groups.map(({ texts, weight }) => weight * tokensOf(texts));
  const passage = (random: Random) => {
    const group = at(groups, drawByWeight(sizes, random));
    const { tokens } = at(
      group.texts,
      drawByWeight(
        group.texts.map(({ tokens: all }) => all.length),
        random,
      ),
    );
    const lengths = [0, 1].map(() => PASSAGE.minimum + random.nextInteger(PASSAGE.maximum - PASSAGE.minimum));
    const [first = 0, next = 0] = lengths;
    const from = random.nextInteger(Math.max(1, tokens.length - first - next));
    const text = (start: number, length: number): string => {
      // The first and last words may be cut in two.
      const words = wordsOf(tokenizer.decode(tokens.subarray(start, start + length)));
      return words.slice(1, -1).join(" ");
    };
    return { kind: group.kind, first: text(from, first), next: text(from + first, next) };
  };
  const kinds = [...new Set(groups.map(({ kind }) => kind))];
  return generatedStream((index) => {
    const random = randomOf(seed, `${part.name} tasks`, index);
    for (let attempt = 0; attempt < DERIVED_ATTEMPTS; attempt++) {
      const task: DerivedTask = at(part.tasks, random.nextInteger(part.tasks.length));
      const { first, next, kind } = passage(random);
      const others = Array.from({ length: part.others }, () => passage(random).first);
      const usable = [first, next, ...others].every((text) => wordsOf(text).length >= PASSAGE_WORDS);
      const instance = usable ? task.make({ first, next, others, kind, kinds }, random) : undefined;
      if (instance !== undefined) {
        const example = part.isListed
          ? formatInstruction({ definition: "", ...task }, instance, random)
          : renderExample({}, instance, at(task.templates, random.nextInteger(task.templates.length)));
        return encodeTask(tokenizer, example);
      }
    }
    throw new CadreError(
      "invalid-argument",
      `mixture: ${part.name}: expected texts with two neighbouring passages of at least ${PASSAGE_WORDS} words between spaces, found none in ${DERIVED_ATTEMPTS} draws; give other texts or set the share to 0`,
    );
  });
}

function drawByWeight(weights: readonly number[], random: Random): number {
  let left = random.nextFloat() * weights.reduce((sum, weight) => sum + weight, 0);
  const drawn = weights.findIndex((weight) => {
    left -= weight;
    return left < 0;
  });
  return drawn < 0 ? weights.length - 1 : drawn;
}
