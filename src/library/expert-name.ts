import { CadreError } from "../core/errors.js";
import { sha256 } from "../core/hash.js";

/** Longest name of an expert, in UTF-16 units after normalisation. */
export const MAX_NAME_LENGTH = 200;
/** Longest readable part of an id. */
const MAX_SLUG_LENGTH = 40;
/** Hexadecimal digits of an id that tell names of equal slugs apart. */
const HASH_DIGITS = 8;
const ID_PATTERN = /^[a-z0-9]+(?:-[a-z0-9]+)*-[0-9a-f]{8}$/;
/** Controls, line breaks and halves of surrogate pairs: they would garble a terminal or have no UTF-8 form. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u;

/** Words of questions: `auto` lets routing choose, `base` asks the base alone. An expert of that name could not be asked by it. */
const RESERVED: ReadonlySet<string> = new Set(["auto", "base"]);

/** A name as it is stored and compared: Unicode NFC without white space around. Case counts. */
export function normalizeName(name: string): string {
  return name.normalize("NFC").trim();
}

/** Whether a text is a name as it is stored: normalised, 1 to {@link MAX_NAME_LENGTH} units, in one printable line. */
export function isExpertName(name: string): boolean {
  return name.length > 0 && name.length <= MAX_NAME_LENGTH && !UNPRINTABLE.test(name) && normalizeName(name) === name;
}

/**
 * A caller's name in the form in which it is stored.
 * @throws CadreError `invalid-argument` for an empty or overlong name, control characters and line breaks.
 */
export function expertName(name: string): string {
  const normalized = normalizeName(name);
  if (!isExpertName(normalized)) {
    const shown = JSON.stringify(normalized.slice(0, MAX_NAME_LENGTH));
    throw new CadreError(
      "invalid-argument",
      `expert: expected a name of 1 to ${MAX_NAME_LENGTH} characters in one line without control characters, got ${shown}`,
    );
  }
  return normalized;
}

/**
 * As {@link expertName}, for an expert that is new. Libraries that hold one of a reserved name open all the same: it is asked by its id.
 * @throws CadreError `invalid-argument`, too, for the names `auto` and `base`.
 */
export function newExpertName(name: string): string {
  const normalized = expertName(name);
  if (RESERVED.has(normalized)) {
    throw new CadreError(
      "invalid-argument",
      `expert: expected another name than ${JSON.stringify(normalized)}: a question that asks for "auto" is routed, and one that asks for "base" is answered by the base; ` +
        "give it another name (an expert of a task has the task's, which is that of its file)",
    );
  }
  return normalized;
}

/** Readable part of an id: lower-case Latin letters and digits with hyphens between; "expert" where a name has none. */
export function slugOf(name: string): string {
  // Upper case first: it writes ß as SS.
  const plain = name.normalize("NFKD").replace(/\p{M}/gu, "").toUpperCase().toLowerCase();
  const words = plain.match(/[a-z0-9]+/g) ?? ["expert"];
  return words.join("-").slice(0, MAX_SLUG_LENGTH).replace(/-$/, "");
}

/**
 * An expert's id, `<slug>-<8 hex>`: the name of its folder, made from its name alone. So two processes that add the same name meet at the same
 * path, where the file system lets only one in; and the id is the same in every library.
 */
export async function expertId(name: string): Promise<string> {
  const normalized = normalizeName(name);
  const hash = await sha256(new TextEncoder().encode(normalized));
  return `${slugOf(normalized)}-${hash.slice(0, HASH_DIGITS)}`;
}

/** Whether a text has the form of an id; such a text is safe as the name of a folder. */
export function isExpertId(text: string): boolean {
  return text.length <= MAX_SLUG_LENGTH + 1 + HASH_DIGITS && ID_PATTERN.test(text);
}
