import { at } from "../../core/at.js";
import type { Random } from "../../core/random.js";
import { type DerivedTask, wordOfNext } from "./derived-task.js";

/** Letters only, long enough to carry a meaning, and no name. */
const PLAIN_WORD = /^\p{Ll}{4,}$/u;

/** Words that are drawn of a passage, of which the longest is taken: frequent words, which fit every subject, are short. */
const DRAWN = 4;

/**
 * Which of several words stands near a text: a harder `derived/nearby-word`, as more rivals leave no way around what the text is about.
 * Every other passage gives one rival.
 */
export const subjectWordTask: DerivedTask = {
  name: "derived/subject-word",
  templates: [
    "{{ text }}\nTopic word:",
    "{{ text }}\nWhich word belongs to this text?",
    "What is this about? {{ text }}",
    "{{ text }}\nSubject:",
  ],
  make: (passages, random) =>
    wordOfNext(
      passages,
      { isAsked: (word) => PLAIN_WORD.test(word), draw: (words) => longestOf(words, random) },
      random,
    ),
};

function longestOf(words: readonly string[], random: Random): string {
  const drawn = Array.from({ length: DRAWN }, () => at(words, random.nextInteger(words.length)));
  return at(
    drawn.toSorted((left, right) => right.length - left.length),
    0,
  );
}
