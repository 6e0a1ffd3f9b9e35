import { at } from "../../core/at.js";
import type { Random } from "../../core/random.js";
import { type DerivedTask, wordOfNext, wordsOf, yesAndNo } from "./derived-task.js";

/** A word that stands for itself: letters only, and long enough to carry a meaning. */
const PLAIN_WORD = /^\p{L}{4,}$/u;

/** Words that `derived/next-words` asks for. */
const NEXT_WORDS = 6;

/**
 * The tasks that pre-training derives from its own text. Each can be solved only by reading the whole input, which plain denoising of
 * neighbouring words does not teach.
 */
export const derivedTasks: readonly DerivedTask[] = [
  {
    name: "derived/continuation",
    templates: [
      "{{ first }}\n\n{{ second }}\nDoes the second passage go on where the first one ends?",
      "First: {{ first }}\nSecond: {{ second }}\nIs the second part the continuation of the first?",
      "Do these belong together, one after the other?\n1. {{ first }}\n2. {{ second }}",
    ],
    make({ first, next, others }, random) {
      const follows = random.nextFloat() < 0.5;
      return judged({ first, second: follows ? next : at(others, 0) }, follows, random);
    },
  },
  {
    name: "derived/scrambled",
    templates: [
      "{{ text }}\nAre the words in their natural order?",
      "Is this proper English or were its words mixed up? Proper English counts as a yes.\n{{ text }}",
      "Can this be read as normal sentences? {{ text }}",
    ],
    make({ first }, random) {
      const words = wordsOf(first).slice(0, 12 + random.nextInteger(30));
      if (new Set(words).size < 2) {
        return undefined;
      }
      const natural = random.nextFloat() < 0.5;
      // A few swaps only: a fully shuffled text would be told apart by two neighbouring words.
      const text = (natural ? words : withSwaps(words, 2 + random.nextInteger(4), random)).join(" ");
      return judged({ text }, natural, random);
    },
  },
  {
    name: "derived/missing-word",
    templates: [
      "{{ text }}\nWhich word was left out at the blank?",
      "Fill in the blank: {{ text }}",
      "What belongs where the line is?\n{{ text }}",
    ],
    make({ first, others }, random) {
      const words = wordsOf(first).slice(0, 40);
      const places = words.flatMap((word, index) => (PLAIN_WORD.test(word) ? [index] : []));
      const rivals = new Set(wordsOf(at(others, 0)).filter((word) => PLAIN_WORD.test(word) && !words.includes(word)));
      if (places.length === 0 || rivals.size < 3) {
        return undefined;
      }
      const place = at(places, random.nextInteger(places.length));
      const word = at(words, place);
      const text = words.with(place, "____").join(" ");
      const choices = random.shuffle([word, ...random.shuffle([...rivals]).slice(0, 3)]);
      return { fields: { text }, targets: [word], choices };
    },
  },
  {
    // Words of one subject stand near each other: what a text is about shows in the words around it.
    name: "derived/nearby-word",
    templates: [
      "{{ text }}\nWhich word is likely to come up next?",
      "Which of these words goes with the text?\n{{ text }}",
      "What else is this about? {{ text }}",
    ],
    make: (passages, random) =>
      wordOfNext(
        passages,
        { isAsked: (word) => PLAIN_WORD.test(word), draw: (words) => at(words, random.nextInteger(words.length)) },
        random,
      ),
  },
  {
    // Without their order the words can only be guessed from what the text is about.
    name: "derived/next-words",
    templates: [
      "{{ text }}\nWhich words will follow, in any order?",
      "Name words of the passage that comes next.\n{{ text }}",
      "Words to expect after this text: {{ text }}",
    ],
    make({ first, next }, random) {
      const words = [...new Set(wordsOf(next).filter((word) => PLAIN_WORD.test(word)))];
      return words.length < NEXT_WORDS
        ? undefined
        : { fields: { text: first }, targets: [random.shuffle(words).slice(0, NEXT_WORDS).join(" ")] };
    },
  },
  {
    name: "derived/odd-word",
    templates: [
      "One word of this text was replaced by a foreign one. Which is it?\n{{ text }}",
      "{{ text }}\nWhich word does not fit here?",
      "Find the word that does not belong: {{ text }}",
    ],
    make({ first, others }, random) {
      const words = wordsOf(first).slice(0, 30);
      const places = words.flatMap((word, index) => (PLAIN_WORD.test(word) ? [index] : []));
      const rivals = wordsOf(at(others, 0)).filter((word) => PLAIN_WORD.test(word) && !words.includes(word));
      if (places.length === 0 || rivals.length === 0) {
        return undefined;
      }
      const odd = at(rivals, random.nextInteger(rivals.length));
      const text = words.with(at(places, random.nextInteger(places.length)), odd).join(" ");
      return { fields: { text }, targets: [odd] };
    },
  },
  {
    name: "derived/mentions",
    templates: [
      '{{ text }}\nDoes the word "{{ word }}" occur in this passage?',
      'Look for "{{ word }}" in this: {{ text }}\nIs it there?',
      "Word: {{ word }}\nPassage: {{ text }}\nDoes the passage contain the word?",
    ],
    make({ first, others }, random) {
      const inside = wordsOf(first).filter((word) => PLAIN_WORD.test(word));
      // Neither capitals nor a comma behind it nor a longer word around it may make a word that is there count as absent.
      const present = first.toLowerCase();
      const outside = wordsOf(at(others, 0)).filter(
        (word) => PLAIN_WORD.test(word) && !present.includes(word.toLowerCase()),
      );
      const occurs = random.nextFloat() < 0.5;
      const words = occurs ? inside : outside;
      return words.length === 0
        ? undefined
        : judged({ text: first, word: at(words, random.nextInteger(words.length)) }, occurs, random);
    },
  },
  {
    name: "derived/kind-of-text",
    templates: [
      "{{ text }}\nWhat kind of text is this?",
      "Where could this passage come from? {{ text }}",
      "Name the kind of writing.\n{{ text }}",
    ],
    make: ({ first, kind, kinds }) => ({ fields: { text: first }, targets: [kind], choices: kinds }),
  },
  {
    name: "derived/which-continues",
    templates: [
      "{{ start }}\nHow does it go on?\nA: {{ a }}\nB: {{ b }}",
      "Text: {{ start }}\nA) {{ a }}\nB) {{ b }}\nWhich one is the real continuation?",
      "A. {{ a }}\nB. {{ b }}\nOne of these follows directly after: {{ start }}\nWhich one?",
    ],
    make({ first, next, others }, random) {
      const short = (text: string): string => wordsOf(text).slice(0, 15).join(" ");
      const firstIsRight = random.nextFloat() < 0.5;
      const other = at(others, 0);
      const [a, b] = firstIsRight ? [next, other] : [other, next];
      return {
        fields: { start: first, a: short(a), b: short(b) },
        targets: [firstIsRight ? "A" : "B"],
        choices: ["A", "B"],
      };
    },
  },
];

function judged(fields: Readonly<Record<string, string>>, holds: boolean, random: Random) {
  const [yes, no] = yesAndNo(random);
  return { fields, targets: [holds ? yes : no], choices: [yes, no] };
}

/** The words after so many swaps, or one more where they stood as before; `words` are not all equal. */
function withSwaps(words: readonly string[], swaps: number, random: Random): string[] {
  const swapped = [...words];
  for (let swap = 0; swap < swaps || swapped.join(" ") === words.join(" "); swap++) {
    const first = random.nextInteger(words.length);
    const second = random.nextInteger(words.length);
    const held = at(swapped, first);
    swapped[first] = at(swapped, second);
    swapped[second] = held;
  }
  return swapped;
}
