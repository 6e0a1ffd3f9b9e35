import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { nearMiss } from "../core/near-miss.js";
import { shownValue } from "../generation/shown-value.js";
import { normalizeName, slugOf } from "../library/expert-name.js";
import type { ExpertEntry, LibraryScan } from "../library/node/library.js";
import type { WeightedExpert } from "../models/packed-batch.js";
import type { ExpertSelection, ExpertSummary } from "./cadre.js";

/** Most experts of a weighted list: what a row costs grows with them. */
const MOST_LISTED = 16;
/** Experts that a message names. */
const MOST_NAMED = 10;

/** An expert that is to answer. */
export interface SelectedExpert {
  readonly entry: ExpertEntry;
  readonly weight: number;
}

/** The experts of a library at one moment. */
export interface ExpertCatalog {
  /** In the order of their ids. */
  readonly entries: readonly ExpertEntry[];
  readonly summaries: readonly ExpertSummary[];
  /**
   * An expert by its id, its name, or its name's slug where only one has it.
   * @throws CadreError `not-found`, with near names; `invalid-argument` for a slug of several; of a damaged expert what is wrong with it.
   */
  find(text: string): ExpertEntry;
  /**
   * Whom a request names; an empty list is the base. One that is listed twice counts with the sum.
   * @throws CadreError as `find`; `invalid-argument` for what is neither a name nor a list, a weight that is no number, or more than 16 experts.
   */
  select(selection: Exclude<ExpertSelection, "auto">): readonly SelectedExpert[];
}

/** @param where the library in messages */
export function createCatalog(
  { experts, problems }: LibraryScan,
  { where }: { readonly where: string },
): ExpertCatalog {
  const byId = new Map(experts.map((entry) => [entry.id, entry]));
  const byName = new Map(experts.map((entry) => [entry.manifest.name, entry]));

  const find = (text: string): ExpertEntry => {
    const exact = byId.get(text) ?? byName.get(normalizeName(text));
    if (exact !== undefined) return exact;
    const damaged = problems.find(({ id }) => id === text);
    if (damaged !== undefined) throw damaged.error;
    const alike = experts.filter(({ manifest }) => slugOf(manifest.name) === text.trim().toLowerCase());
    if (alike.length === 1) return at(alike, 0);
    if (alike.length > 1) {
      throw new CadreError(
        "invalid-argument",
        `${where}: expected an expert's id or name, got ${JSON.stringify(text)}, which may mean ${alike.map(named).join(" or ")}`,
        { details: { expert: text, candidates: alike.map(({ id }) => id) } },
      );
    }
    throw unknown(text);
  };

  const unknown = (text: string): CadreError => {
    const known = experts.flatMap(({ id, manifest }) => [manifest.name, id, slugOf(manifest.name)]);
    const meant = nearMiss(normalizeName(text), known);
    const some = experts.slice(0, MOST_NAMED).map(named);
    const all =
      some.length === 0 ? "it has none" : `it has ${some.join(", ")}${experts.length > MOST_NAMED ? " and more" : ""}`;
    return new CadreError(
      "not-found",
      `${where}: no expert ${JSON.stringify(text)}; ${meant === undefined ? all : `did you mean ${JSON.stringify(meant)}?`}`,
      { details: { expert: text, ...(meant === undefined ? {} : { meant }) } },
    );
  };

  const selectList = (list: readonly WeightedExpert[]): SelectedExpert[] => {
    // JavaScript callers may pass anything.
    if (!Array.isArray(list)) {
      throw new CadreError(
        "invalid-argument",
        `experts: expected "auto", "base", an expert's id or name, or a list of { id, weight }, got ${shownValue(list)}`,
      );
    }
    const weights = new Map<ExpertEntry, number>();
    for (const [index, listed] of list.entries()) {
      const { id, weight }: Partial<WeightedExpert> = Object(listed);
      if (typeof id !== "string") {
        throw new CadreError(
          "invalid-argument",
          `experts: expected { id, weight } in place ${index + 1}, got ${shownValue(listed)}${Object(listed) === listed ? " without an id that is a text" : ""}`,
        );
      }
      if (typeof weight !== "number" || !Number.isFinite(weight)) {
        throw new CadreError(
          "invalid-argument",
          `experts: expected a finite weight of ${JSON.stringify(id)}, got ${shownValue(weight)}`,
        );
      }
      const entry = find(id);
      weights.set(entry, (weights.get(entry) ?? 0) + weight);
    }
    if (weights.size > MOST_LISTED) {
      throw new CadreError("invalid-argument", `experts: expected at most ${MOST_LISTED} of them, got ${weights.size}`);
    }
    return [...weights].map(([entry, weight]) => ({ entry, weight }));
  };

  return {
    entries: experts,
    summaries: experts.map(summaryOf),
    find,
    select(selection) {
      if (selection === "base") return [];
      return typeof selection === "string" ? [{ entry: find(selection), weight: 1 }] : selectList(selection);
    },
  };
}

function summaryOf({ id, manifest }: ExpertEntry): ExpertSummary {
  const { name, role, delta, task, choices, created } = manifest;
  return {
    ...{ id, name, role, kind: delta.kind, task, created },
    routable: isRoutable(manifest),
    ...(choices === undefined ? {} : { choices }),
  };
}

/** Whether routing may choose it. */
export function isRoutable({ role, keys }: ExpertEntry["manifest"]): boolean {
  return role === "expert" && keys !== undefined;
}

function named({ id, manifest }: ExpertEntry): string {
  return `${JSON.stringify(manifest.name)} (${id})`;
}
