import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { powerOfTwo } from "../core/numbers.js";
import type { DeltaConfig } from "../experts/delta-config.js";
import { type MixedExpert, type MixedExperts, mixExperts } from "../experts/mixed.js";
import type { Delta } from "../models/delta.js";
import type { HookPoints } from "../models/hooks.js";
import { floatBytes, type Tensor } from "../tensors/tensor.js";

/** Most experts that lie on the device at once. */
const MOST_SLOTS = 32;
/** Most bytes of a stack, which lies here and on the device; at least one row's experts fit in any case. */
const STACK_BYTES = 256 * 2 ** 20;

/** An expert that was read. */
export interface LoadedExpert {
  readonly id: string;
  /** Of this very content: a replaced expert of the same id has another. */
  readonly key: string;
  /** Undefined where all weights were trained; the tensors are then the model's. */
  readonly delta: DeltaConfig | undefined;
  /** Under the names that its kind gives them, in any float dtype. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** Experts that are ready to answer. */
export interface HeldExperts {
  /** For rows whose experts are named by their keys. The same object as long as `programKey` is the same. */
  readonly delta: Delta;
  /** Of that delta; the same map as long as it holds the same experts. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Programs for the delta serve as long as it is the same. */
  readonly programKey: string;
}

/** The experts that rows of one program can name: those that were wanted last, as many as there is room for. */
export interface ExpertStack {
  /** How many experts of the size of the largest that was ever wanted fit; one call of `hold` takes no more. */
  readonly capacity: (wanted: readonly LoadedExpert[]) => number;
  /**
   * Makes sure that experts are there. What an earlier call returned names other experts from now on.
   * @throws CadreError as `mixExperts`
   */
  hold(wanted: readonly LoadedExpert[]): HeldExperts;
}

/** @param options.perRow Most experts of one kind that a row names. */
export function createExpertStack({
  points,
  perRow,
}: {
  readonly points: HookPoints;
  readonly perRow: number;
}): ExpertStack {
  /** The one that was wanted least recently first. */
  let members = new Map<string, LoadedExpert>();
  let mixed: MixedExperts | undefined;
  let held: HeldExperts | undefined;
  let largest = 1;

  const capacity = (wanted: readonly LoadedExpert[]): number => {
    largest = Math.max(largest, ...wanted.map(sizeOf));
    const most = Math.min(MOST_SLOTS, Math.floor(STACK_BYTES / largest));
    // Slots are a power of two.
    return Math.max(powerOfTwo(perRow), most < 1 ? 1 : powerOfTwo(most + 1) / 2);
  };

  return {
    capacity,
    hold(wanted) {
      const room = capacity(wanted);
      const next = new Map(members);
      for (const expert of wanted) {
        next.delete(expert.key);
        next.set(expert.key, expert);
      }
      for (const key of [...next.keys()].slice(0, Math.max(0, next.size - room))) next.delete(key);
      const isSame = next.size === members.size && [...next.keys()].every((key) => members.has(key));
      members = next;
      if (isSame && held !== undefined) return held;
      const fresh = mixExperts([...next.values()].map(mixable), points, { perRow });
      mixed = fresh;
      held = {
        delta:
          held?.programKey === fresh.programKey
            ? held.delta
            : // Which slot an expert has changes without a change of the program.
              { ...fresh.delta, feeds: (batch) => mixed?.delta.feeds?.(batch) ?? {} },
        tensors: fresh.tensors,
        programKey: fresh.programKey,
      };
      return held;
    },
  };
}

function mixable({ key, id, delta, tensors }: LoadedExpert): MixedExpert {
  if (delta === undefined) throw new CadreError("internal", `${id}: a model of its own is in no stack`);
  return { id: key, delta, tensors };
}

function sizeOf({ tensors }: LoadedExpert): number {
  return floatBytes(tensors.values());
}

/** Divides rows, in order, so that those of a part name at most `most` different experts together (or those of one row). */
export function partsByExperts<Row extends { readonly experts: readonly { readonly expert: LoadedExpert }[] }>(
  rows: readonly Row[],
  most: number,
): { readonly rows: readonly number[]; readonly experts: readonly LoadedExpert[] }[] {
  const parts: { readonly rows: number[]; readonly experts: Map<string, LoadedExpert> }[] = [];
  for (const [index, { experts }] of rows.entries()) {
    const named = experts.map(({ expert }) => expert);
    let part = parts.at(-1);
    const added = named.filter(({ key }) => part?.experts.has(key) !== true);
    if (part === undefined || part.experts.size + new Set(added).size > most) {
      part = { rows: [], experts: new Map() };
      parts.push(part);
    }
    part.rows.push(index);
    for (const expert of named) at([part], 0).experts.set(expert.key, expert);
  }
  return parts.map((part) => ({ rows: part.rows, experts: [...part.experts.values()] }));
}
