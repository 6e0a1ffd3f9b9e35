import { at } from "../../core/at.js";
import type { Random } from "../../core/random.js";
import { type DerivedTask, wordsOf } from "./derived-task.js";

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
  make({ first, next, others }, random) {
    const own = new Set(wordsOf(first));
    const draw = (passage: string): string | undefined => drawSubject(passage, own, random);
    const drawn = [next, ...others].map(draw).filter((word) => word !== undefined);
    const choices = [...new Set(drawn)];
    return choices.length <= others.length
      ? undefined
      : { fields: { text: first }, targets: [at(choices, 0)], choices: random.shuffle([...choices]) };
  },
};

function drawSubject(passage: string, own: ReadonlySet<string>, random: Random): string | undefined {
  const fresh = wordsOf(passage).filter((word) => PLAIN_WORD.test(word) && !own.has(word));
  const drawn =
    fresh.length === 0 ? [] : Array.from({ length: DRAWN }, () => at(fresh, random.nextInteger(fresh.length)));
  return drawn.toSorted((left, right) => right.length - left.length)[0];
}
