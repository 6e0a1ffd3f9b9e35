import { at } from "../core/at.js";
import { groupBy } from "../core/group-by.js";
import { powerOfTwo } from "../core/numbers.js";
import type { Row } from "../experts/rows.js";
import type { BatchShape } from "../models/packed-batch.js";

/** Input tokens in a batch: large enough for full speed, small enough that activations stay in tens of megabytes. */
const BATCH_INPUT_TOKENS = 2048;
/** Target tokens in a batch: each holds a row of the vocabulary. */
const BATCH_TARGET_TOKENS = 2048;
/** Shortest input side of a pack that is filled; shorter inputs share packs. */
const SHORTEST_FILLED = 128;
/** Shortest input side of a batch: packs that are less full are cut down as far as this. */
const SHORTEST_INPUT = 16;
/** Target sides are multiples of this. */
const TARGET_STEP = 16;
/**
 * Padding in input tokens that is worth a run of its own. Measured with cadre-mini on one thread: a run costs about 4 ms of processor time
 * whatever its size, 100 input tokens with their targets 6 ms.
 */
const WORTH_A_RUN = 128;
/** The part of a batch's input tokens that is worth another program. */
const WORTH_A_SHAPE = 1 / 8;
/** Newest packs of a group that a row may still go into; older ones are as good as full. */
const MOST_OPEN_PACKS = 64;
/** `expertSet` of a row that the base answers. */
const BASE = "[]";

/** Batches of one shape. */
export interface PackingGroup {
  readonly shape: BatchShape;
  /** Batches, their packs, and in these the positions of rows in the caller's list. */
  readonly batches: readonly (readonly (readonly number[])[])[];
}

/** Options of `packForScoring`. */
export interface ScorePackingOptions {
  /** Most experts of a pack, over all of its rows; a row that names more shares its pack only with rows that add none. Default 1. */
  readonly perPack?: number;
}

/**
 * Distributes rows over batches of a few shapes, so that little is padding and short inputs do not pay for the attention of long packs:
 * they are grouped by the power of two (128 or more) that holds their input, and each group fills packs of that length, the longest input
 * first, each into the first pack with room. Rows of equal experts follow each other, the commonest experts first, and rows of the base fill
 * what is left: they may lie beside any. Packs that stay emptier than that (a single row, rows of many different experts) are cut down to
 * what they hold and lie in batches of their own where that saves more than a run costs. A pure function of lengths and experts.
 */
export function packForScoring(rows: readonly Row[], { perPack = 1 }: ScorePackingOptions = {}): PackingGroup[] {
  const groups = groupBy(rows.keys(), (index) =>
    Math.max(SHORTEST_FILLED, powerOfTwo(at(rows, index).example.input.length)),
  );
  return [...groups]
    .sort(([left], [right]) => left - right)
    .flatMap(([inputLength, members]) => cutDown(fillPacks(rows, { inputLength, members, perPack })))
    .map((group) => batchesOf(rows, group));
}

interface OpenPack {
  readonly members: number[];
  readonly experts: Set<string>;
  inputTokens: number;
  targetTokens: number;
}

/** Packs whose inputs fit `inputLength`, each with what it holds. */
function fillPacks(
  rows: readonly Row[],
  group: { readonly inputLength: number; readonly members: readonly number[]; readonly perPack: number },
): OpenPack[] {
  const { inputLength, members, perPack } = group;
  const inputOf = (index: number): number => at(rows, index).example.input.length;
  const targetOf = (index: number): number => countTargets(at(rows, index));
  const sum = (count: (index: number) => number): number => members.reduce((total, index) => total + count(index), 0);
  const longest = members.reduce((most, index) => Math.max(most, targetOf(index)), 0);
  // So wide that input and target side fill up together.
  const balanced = sum(targetOf) * Math.min(1, inputLength / sum(inputOf));
  const targetLength = TARGET_STEP * Math.ceil(Math.max(longest, balanced) / TARGET_STEP);
  const packs: OpenPack[] = [];
  for (const index of packingOrder(rows, members)) {
    const inputTokens = inputOf(index);
    const targetTokens = targetOf(index);
    const experts = at(rows, index).experts.map(({ id }) => id);
    let pack = packs.slice(-MOST_OPEN_PACKS).find((open) => {
      const added = new Set(experts.filter((id) => !open.experts.has(id))).size;
      return (
        open.inputTokens + inputTokens <= inputLength &&
        open.targetTokens + targetTokens <= targetLength &&
        (added === 0 || open.experts.size + added <= perPack)
      );
    });
    if (pack === undefined) {
      pack = { members: [], experts: new Set(), inputTokens: 0, targetTokens: 0 };
      packs.push(pack);
    }
    pack.members.push(index);
    for (const id of experts) {
      pack.experts.add(id);
    }
    pack.inputTokens += inputTokens;
    pack.targetTokens += targetTokens;
  }
  return packs;
}

/** Packs of batches of one input length. */
interface CutPacks {
  readonly inputLength: number;
  readonly packs: OpenPack[];
}

/** Gives packs the shortest of few lengths that holds them, the shortest first; packs for which a run is not worth it join longer ones. */
function cutDown(packs: readonly OpenPack[]): CutPacks[] {
  const byLength = groupBy(packs, ({ inputTokens }) => Math.max(SHORTEST_INPUT, roundUp(inputTokens, 2)));
  const cut: CutPacks[] = [];
  for (const [inputLength, own] of [...byLength].sort(([left], [right]) => right - left)) {
    const longer = cut.at(-1);
    const worth =
      longer === undefined ? 0 : Math.max(WORTH_A_RUN, longer.packs.length * longer.inputLength * WORTH_A_SHAPE);
    if (longer !== undefined && own.length * (longer.inputLength - inputLength) < worth) {
      longer.packs.push(...own);
    } else {
      cut.push({ inputLength, packs: [...own] });
    }
  }
  return cut.reverse();
}

function batchesOf(rows: readonly Row[], { inputLength, packs }: CutPacks): PackingGroup {
  const targets = packs.reduce((most, { targetTokens }) => Math.max(most, targetTokens), 1);
  const targetLength = TARGET_STEP * Math.ceil(targets / TARGET_STEP);
  const most = Math.max(1, Math.floor(Math.min(BATCH_INPUT_TOKENS / inputLength, BATCH_TARGET_TOKENS / targetLength)));
  const count = Math.ceil(packs.length / most);
  // Rounded up, so that calls with about as many rows share a program; a single row pays for no other.
  const height = Math.min(most, roundUp(Math.ceil(packs.length / count), 4));
  const sequences = packs.map((pack) =>
    pack.members.reduce((total, index) => total + at(rows, index).example.targets.length, 0),
  );
  return {
    shape: {
      rows: height,
      inputLength,
      targetLength,
      // Rounded up likewise: the inputs of mixed experts depend on it.
      sequences: powerOfTwo(sequences.reduce((largest, own) => Math.max(largest, own), 1)),
    },
    batches: Array.from({ length: count }, (_, batch) =>
      packs.slice(batch * height, (batch + 1) * height).map((pack) => pack.members),
    ).filter((batch) => batch.length > 0),
  };
}

/** The smallest number no less than `least` (1 or more) that divides the way from one power of two to the next into `parts`: 2 makes 16, 24, 32, 48, 64. */
function roundUp(least: number, parts: number): number {
  const step = Math.max(1, powerOfTwo(least) / 2 / parts);
  return step * Math.ceil(least / step);
}

/** Rows of one set of experts after those of another, the largest set first, the base last; within one, the longest input first. */
function packingOrder(rows: readonly Row[], members: readonly number[]): number[] {
  const bySet = groupBy(members, (index) => expertSet(at(rows, index)));
  const longestFirst = (left: number, right: number): number =>
    at(rows, right).example.input.length - at(rows, left).example.input.length || left - right;
  return [...bySet]
    .sort(([left, own], [right, other]) => Number(left === BASE) - Number(right === BASE) || other.length - own.length)
    .flatMap(([, indices]) => [...indices].sort(longestFirst));
}

/** The ids of a row's experts, without their weights, as a key. */
function expertSet({ experts }: Row): string {
  return JSON.stringify([...new Set(experts.map(({ id }) => id))].sort());
}

function countTargets({ example: { targets } }: Row): number {
  return targets.reduce((sum, { length }) => sum + length, 0);
}
