import { at } from "../../core/at.js";
import type { Random } from "../../core/random.js";
import type { Instance } from "../task.js";

/** Passages of plain text that an instance is made from. */
export interface Passages {
  /** At least a dozen words. */
  readonly first: string;
  /** What follows `first` in its text. */
  readonly next: string;
  /** Passages from elsewhere, as many as the task needs. */
  readonly others: readonly string[];
  /** What kind of text `first` comes from, e.g. `story`. */
  readonly kind: string;
  /** All kinds there are. */
  readonly kinds: readonly string[];
}

/** A task whose instances any plain text gives, without anybody having labelled it. */
export interface DerivedTask {
  readonly name: string;
  /** Jinja templates over the fields, at least three. */
  readonly templates: readonly string[];
  /** @returns undefined where these passages give no instance. */
  make(passages: Passages, random: Random): Instance | undefined;
}

/** Words of a passage: what stands between white space. */
export function wordsOf(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

/** One of several pairs of answers that say yes and no. */
export function yesAndNo(random: Random): readonly [string, string] {
  const pairs = [
    ["yes", "no"],
    ["true", "false"],
    ["right", "wrong"],
    ["correct", "incorrect"],
  ] as const;
  return pairs[random.nextInteger(pairs.length)] ?? pairs[0];
}

/**
 * An instance that asks for a word of what follows, among one of every passage from elsewhere.
 * @param isAsked which words may be asked for; those of `first` never are.
 * @param draw chooses one of the words that may, at least one.
 * @returns undefined where a passage has no such word, or two give the same.
 */
export function wordOfNext(
  { first, next, others }: Passages,
  {
    isAsked,
    draw,
  }: { readonly isAsked: (word: string) => boolean; readonly draw: (words: readonly string[]) => string },
  random: Random,
): Instance | undefined {
  const own = new Set(wordsOf(first));
  const drawFrom = (passage: string): string | undefined => {
    const fresh = wordsOf(passage).filter((word) => isAsked(word) && !own.has(word));
    return fresh.length === 0 ? undefined : draw(fresh);
  };
  const drawn = [next, ...others].map(drawFrom).filter((word) => word !== undefined);
  const choices = [...new Set(drawn)];
  return choices.length <= others.length
    ? undefined
    : { fields: { text: first }, targets: [at(choices, 0)], choices: random.shuffle([...choices]) };
}
