import { CadreError } from "../../core/errors.js";

/** What a repository on the Hub holds. */
export type RepositoryType = "model" | "dataset";

/** A repository on the Hugging Face Hub at a revision. */
export interface HubId {
  readonly type: RepositoryType;
  /** `owner/name` */
  readonly name: string;
  /** A branch, a tag, a pull request (`refs/pr/1`) or a commit of 40 hexadecimal digits; `main` where none was given. */
  readonly revision: string;
}

// What huggingface_hub accepts as a repository id; neither part may leave the cache folder.
const PART = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?$/;
const REVISION = /^[A-Za-z0-9_][A-Za-z0-9_./-]{0,249}$/;

/** Models that people mean when a name is not quite right; docs/checkpoints.md says what each of these repositories holds. */
const KNOWN_NAMES = [
  ...["small", "base", "large", "xl", "xxl"].flatMap((size) => [
    `google/flan-t5-${size}`,
    `google/t5-v1_1-${size}`,
    `google/t5-${size}-lm-adapt`,
    `google/mt5-${size}`,
    `google/byt5-${size}`,
  ]),
  ...["small", "base", "large", "3b", "11b"].map((size) => `google-t5/t5-${size}`),
  ...["T0", "T0p", "T0pp", "T0_3B"].map((name) => `bigscience/${name}`),
];

/** How alike two names must be (shared pairs of letters, 0 to 1) for one to be offered in place of the other. */
const ALIKE = 0.6;

/** Reads `owner/name` or `owner/name@revision`; undefined for a text of another form. */
export function parseHubId(text: string, type: RepositoryType = "model"): HubId | undefined {
  const [name = "", revision = "main", ...rest] = text.split("@");
  const parts = name.split("/");
  const wellFormed =
    rest.length === 0 &&
    parts.length === 2 &&
    parts.every((part) => PART.test(part) && !part.includes("..") && !part.includes("--")) &&
    REVISION.test(revision) &&
    !revision.split("/").some((part) => part === "" || part === "." || part === "..");
  return wellFormed ? { type, name, revision } : undefined;
}

/** Where a repository lies below the Hub's address. */
export function pathOfRepository({ type, name }: Pick<HubId, "type" | "name">): string {
  return type === "model" ? name : `datasets/${name}`;
}

/** {@link nearMissHint} for a model; the names of data sets are not known here. */
export function hintFor({ type, name }: Pick<HubId, "type" | "name">): string {
  return type === "model" ? nearMissHint(name) : "";
}

/** "; did you mean …?" for a name that resembles a well-known one or one of `others`, or an empty text. */
export function nearMissHint(name: string, others: readonly string[] = []): string {
  const scored = [...new Set([...others, ...KNOWN_NAMES])]
    .filter((candidate) => candidate !== name)
    .map((candidate) => ({
      candidate,
      score: Math.max(likeness(name, candidate), likeness(name, lastPart(candidate))),
    }))
    .sort((one, other) => other.score - one.score);
  const best = scored[0];
  return best !== undefined && best.score >= ALIKE ? `; did you mean ${best.candidate}?` : "";
}

/** Refuses a text that is neither a folder, nor `cadre-mini`, nor of the form of a Hub id. */
export function notABase(text: string, others: readonly string[]): CadreError {
  return new CadreError(
    "not-found",
    `base ${JSON.stringify(text)}: expected a folder, cadre-mini, or a Hub id owner/name[@revision], found none of these` +
      nearMissHint(text, others),
    { details: { base: text } },
  );
}

function lastPart(name: string): string {
  return name.slice(name.indexOf("/") + 1);
}

/** Dice's coefficient over pairs of neighbouring letters. */
function likeness(one: string, other: string): number {
  const [pairs, otherPairs] = [pairsOf(one), pairsOf(other)];
  const rest = [...otherPairs];
  const shared = pairs.filter((pair) => {
    const index = rest.indexOf(pair);
    return index >= 0 && rest.splice(index, 1).length > 0;
  });
  return (2 * shared.length) / Math.max(1, pairs.length + otherPairs.length);
}

function pairsOf(text: string): string[] {
  const padded = ` ${text.toLowerCase()} `;
  return Array.from({ length: padded.length - 1 }, (_, index) => padded.slice(index, index + 2));
}
