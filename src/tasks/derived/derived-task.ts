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
