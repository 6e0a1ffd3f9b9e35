import { at } from "../../core/at.js";
import type { Random } from "../../core/random.js";
import type { Instance } from "../task.js";
import { type DerivedTask, wordsOf, yesAndNo } from "./derived-task.js";

/** Words in lower case and how good they sound, from -4 to 4. */
export type FeelingWords = ReadonlyMap<string, number>;

/** Two answers, of which the first is the good one. */
const LABELS = [
  ["positive", "negative"],
  ["good", "bad"],
  ["great", "terrible"],
  ["pleasant", "unpleasant"],
  ["happy", "unhappy"],
  ["Positive", "Negative"],
  ["favourable", "unfavourable"],
] as const;

/** Five answers, from the worst to the best. */
const SCALES = [
  ["terrible", "bad", "okay", "good", "great"],
  ["very negative", "negative", "neutral", "positive", "very positive"],
  ["1", "2", "3", "4", "5"],
] as const;

/** Degrees of feeling at which the scale's answers begin, from the second on. */
const LEVELS = [-0.9, -0.35, 0.35, 0.95];

/** A text of this degree or more is clearly good, or clearly bad. */
const CLEAR = 0.45;

/** Words that turn what one of the next three says into its contrary, which is a little weaker (VADER, Hutto and Gilbert 2014: 0.74). */
const NEGATIONS = new Set(["not", "no", "never", "nor", "without", "hardly", "cannot", "neither"]);
const NEGATED = -0.74;
const NEGATION_REACH = 3;

/** Words of an excerpt. */
const EXCERPT = { minimum: 6, maximum: 60 };
/** As many texts are written without capitals. */
const LOWER_CASE = 0.3;

/** Tasks that ask how a text sounds; a list of words says it, so nobody has to label the texts. */
export function feelingTasks(words: FeelingWords): readonly DerivedTask[] {
  const sides = [1, -1].map((sign) => [...words].filter(([, valence]) => sign * valence >= 1).map(([word]) => word));
  return [
    {
      name: "derived/feeling",
      templates: [
        "{{ text }}\nIs this {{ good }} or {{ bad }}?",
        "{{ text }}\nThe feeling of this text: {{ good }} or {{ bad }}?",
        "Decide whether the following is {{ good }} or {{ bad }}.\n{{ text }}",
        "{{ text }}\nHow does it sound?",
        "{{ text }}\nSentiment:",
        "Sentiment of: {{ text }}",
        "Tone? {{ text }}",
      ],
      make: ({ first }, random) =>
        judged(clearExcerpt(first, words, random), () => at(LABELS, random.nextInteger(LABELS.length))),
    },
    {
      name: "derived/pleased",
      templates: [
        "{{ text }}\nIs this positive?",
        "Is the tone of this text good? {{ text }}",
        "Does the writer seem pleased? {{ text }}",
      ],
      make: ({ first }, random) => judged(clearExcerpt(first, words, random), () => yesAndNo(random)),
    },
    {
      name: "derived/feeling-degree",
      templates: [
        "{{ text }}\nFrom {{ worst }} to {{ best }}, how good does this sound?",
        "{{ text }}\nRate the feeling of this: {{ scale }}",
        "How positive is this? {{ text }}",
      ],
      make({ first }, random) {
        const text = excerptOf(first, random);
        const { degree, found } = feelingOf(text, words);
        const level = LEVELS.filter((begin) => degree >= begin).length;
        // Every level is as frequent: most texts are neutral.
        const isNeutral = level === 2;
        if (level !== random.nextInteger(LEVELS.length + 1) || (!isNeutral && found < 2)) return undefined;
        const scale = at(SCALES, random.nextInteger(SCALES.length));
        return {
          fields: { text, worst: scale[0], best: scale[4], scale: scale.join(", ") },
          targets: [at(scale, level)],
          choices: [...scale],
        };
      },
    },
    {
      // Words that no text here may hold.
      name: "derived/feeling-of-words",
      templates: ["{{ text }}\nAre these {{ good }} or {{ bad }} words?", "Sentiment: {{ text }}", "{{ text }}\nTone:"],
      make(_, random) {
        const isGood = random.nextFloat() < 0.5;
        const side = at(sides, isGood ? 0 : 1);
        if (side.length === 0) return undefined;
        const drawn = Array.from({ length: 1 + random.nextInteger(5) }, () =>
          at(side, random.nextInteger(side.length)),
        );
        return judged({ text: drawn.join(", "), isGood }, () => at(LABELS, random.nextInteger(LABELS.length)));
      },
    },
  ];
}

/** What sounds good or bad. */
interface Judged {
  readonly text: string;
  readonly isGood: boolean;
}

/** @param answers draws two, of which the first is the good one. */
function judged(judgement: Judged | undefined, answers: () => readonly [string, string]): Instance | undefined {
  if (judgement === undefined) return undefined;
  const [good, bad] = answers();
  const { text, isGood } = judgement;
  return { fields: { text, good, bad }, targets: [isGood ? good : bad], choices: [good, bad] };
}

/** An excerpt that sounds clearly good, or clearly bad, each as often; undefined where this one does not. */
function clearExcerpt(passage: string, words: FeelingWords, random: Random): Judged | undefined {
  const text = excerptOf(passage, random);
  const { degree, found } = feelingOf(text, words);
  const isGood = random.nextFloat() < 0.5;
  return found >= 2 && (isGood ? degree : -degree) >= CLEAR ? { text, isGood } : undefined;
}

function excerptOf(passage: string, random: Random): string {
  const words = wordsOf(passage);
  const length = Math.min(words.length, EXCERPT.minimum + random.nextInteger(EXCERPT.maximum - EXCERPT.minimum));
  const from = random.nextInteger(words.length - length + 1);
  const text = words.slice(from, from + length).join(" ");
  return random.nextFloat() < LOWER_CASE ? text.toLowerCase() : text;
}

/** The sum of the words' valences over the root of the text's length, and how many words have one. */
export function feelingOf(text: string, words: FeelingWords): { readonly degree: number; readonly found: number } {
  const all = text.toLowerCase().match(/[a-z']+/g) ?? [];
  let sum = 0;
  let found = 0;
  for (const [index, word] of all.entries()) {
    const valence = words.get(word);
    if (valence === undefined) continue;
    const before = all.slice(Math.max(0, index - NEGATION_REACH), index);
    sum += before.some((one) => NEGATIONS.has(one) || one.endsWith("n't")) ? NEGATED * valence : valence;
    found++;
  }
  return { degree: sum / Math.sqrt(Math.max(4, all.length)), found };
}
