import { CadreError } from "../core/errors.js";

/** Whose key one is. */
export interface KeyOwner {
  readonly expert: string;
  /** Which of the expert's keys, from 0. */
  readonly key: number;
}

/**
 * Puts experts in the order of their ids (by code units), so that ties do not depend on the order in which a store lists them, and numbers
 * their keys through.
 * @throws CadreError `invalid-argument` without experts, for one without keys, or listed twice.
 */
export function listKeyOwners<Expert extends { readonly id: string }>(
  experts: readonly Expert[],
  countOf: (expert: Expert) => number,
): { readonly sorted: readonly Expert[]; readonly owners: readonly KeyOwner[] } {
  if (experts.length === 0) {
    throw new CadreError(
      "invalid-argument",
      "routing: expected at least one expert with keys, got none; add an expert",
    );
  }
  const sorted = [...experts].sort((left, right) => (left.id < right.id ? -1 : Number(left.id > right.id)));
  const owners = sorted.flatMap((expert, index) => {
    const { id } = expert;
    if (id === sorted[index - 1]?.id) {
      throw new CadreError("invalid-argument", `routing: expected every expert once, got "${id}" twice`);
    }
    const count = countOf(expert);
    if (count === 0) {
      throw new CadreError(
        "invalid-argument",
        `routing: expert "${id}": expected at least one key, got none; embed training inputs for it or leave it out`,
      );
    }
    return Array.from({ length: count }, (_, key) => ({ expert: id, key }));
  });
  return { sorted, owners };
}
