import { CadreError } from "../core/errors.js";
import { powerOfTwo } from "../core/numbers.js";
import type { Value } from "../graph/graph.js";
import type { Delta } from "../models/delta.js";
import type { HookPoints, Hooks } from "../models/hooks.js";
import type { BatchInput } from "../models/model.js";
import type { BatchShape, PackedBatch, WeightedExpert } from "../models/packed-batch.js";
import type { ParameterSpec } from "../models/parameter.js";
import type { Tensor } from "../tensors/tensor.js";
import { createDelta, type DeltaConfig } from "./delta-config.js";
import { groupByRow } from "./grouping.js";
import { type Ia3Vector, ia3Vectors } from "./ia3.js";
import { loraScale } from "./lora.js";
import { expertTensors, stackedParameters, stackTensors } from "./stack.js";
import { composeHooks, type StackedHooksOptions, stackedBottleneck, stackedIa3, stackedLora } from "./stacked-hooks.js";

/** An expert that rows can name. */
export interface MixedExpert {
  readonly id: string;
  readonly delta: DeltaConfig;
  /** Under the names that its kind gives them, in any float dtype. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** Experts of one base, stacked so that the rows of a batch can use different ones. */
export interface MixedExperts {
  /**
   * Goes where a single expert's delta goes; reads `segmentExperts` of a batch. Its parameters are the stacks `<kind>/<tensor>`,
   * `[slots, ...]`; slots are numbered within a kind in the order given.
   */
  readonly delta: Delta;
  /** The stacks' content. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Equal for sets of experts that share a program: same kinds, targets, slots, largest rank and width, and experts per row. */
  readonly programKey: string;
}

/** The order in which kinds are applied where a row's list mixes them: (IA)³ scales what the base's projection makes, LoRA adds to that. */
const KINDS = ["ia3", "lora", "bottleneck"] as const;
type Kind = (typeof KINDS)[number];

/**
 * Stacks experts of any of the kinds.
 *
 * A weighted list `w` changes the base by the weighted sum of what each expert alone changes, place by place: LoRA's products
 * `Σ w · scale · (x Aᵀ) Bᵀ` and bottleneck branches are added with their weights; vectors move from the base's value by the weighted
 * differences, (IA)³ to `1 + Σ w (l − 1)` and the bottleneck's normalisation gains to `g + Σ w (gₑ − g)`. An expert with weight 1 is the
 * expert alone; weights need not add up to 1; an id that is listed twice counts with the sum.
 *
 * @param options.perRow Most experts of one kind that a batch row may use, over all of its examples; rounded up to a power of two. Cost grows
 * with it, not with the number of experts. Default 1.
 * @throws CadreError `invalid-argument` (configuration, two experts of one id, `perRow`), `mismatch`, `non-finite` (tensors), `unsupported`
 * ((IA)³ experts that scale different sides of one projection).
 */
export function mixExperts(
  experts: readonly MixedExpert[],
  points: HookPoints,
  { perRow = 1 }: { readonly perRow?: number } = {},
): MixedExperts {
  const ids = new Set<string>();
  for (const { id } of experts) {
    if (ids.has(id)) {
      throw new CadreError("invalid-argument", `experts: expected different ids, got "${id}" twice`);
    }
    ids.add(id);
  }
  if (!Number.isSafeInteger(perRow) || perRow < 1) {
    throw new CadreError("invalid-argument", `experts: perRow: expected an integer of 1 or more, got ${perRow}`);
  }
  const width = powerOfTwo(perRow);
  const kinds = KINDS.flatMap((kind) => {
    const own = experts.filter(({ delta }) => delta.kind === kind);
    return own.length === 0 ? [] : [stackKind(kind, own, points)];
  });
  const places = new Map(
    kinds.flatMap(({ kind, scales }) => scales.map(({ id, scale }, slot) => [id, { kind, slot, scale }])),
  );
  const parameters = kinds.flatMap((kind) => kind.parameters);
  return {
    delta: {
      kind: "mixed",
      parameters,
      batchInputs: (shape) => kinds.flatMap(({ kind }) => rowInputs(kind, shape, width)),
      feeds: (batch) => rowFeeds(batch, { kinds: kinds.map(({ kind }) => kind), places, perRow: width }),
      hooks: (tensor, batch) => {
        const input = (name: string): Value => {
          const found = batch[name];
          if (found === undefined) {
            throw new CadreError("internal", `experts: the batch lacks ${name}, which batchInputs names`);
          }
          return found;
        };
        return composeHooks(
          kinds.map(({ kind, parameters: stacks, hooks }) => {
            const names = new Set(stacks.map(({ name }) => name));
            return hooks({
              grouping: groupByRow(input(rowExpertsName(kind)), input(segmentWeightsName(kind))),
              stack: (name) => (names.has(`${kind}/${name}`) ? tensor(`${kind}/${name}`) : undefined),
            });
          }),
        );
      },
    },
    tensors: new Map(kinds.flatMap(({ tensors }) => [...tensors])),
    programKey: JSON.stringify([
      width,
      parameters.map(({ name, shape }) => [name, shape]),
      kinds.map(({ key }) => key),
    ]),
  };
}

/** The experts of one kind. */
interface StackedKind {
  readonly kind: Kind;
  readonly parameters: readonly ParameterSpec[];
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** By slot: the id, and the factor of the expert's weight (LoRA's scale, which experts need not share). */
  readonly scales: readonly { readonly id: string; readonly scale: number }[];
  readonly hooks: (options: StackedHooksOptions) => Hooks;
  /** What else its program depends on. */
  readonly key: string;
}

function stackKind(kind: Kind, experts: readonly MixedExpert[], points: HookPoints): StackedKind {
  const prefix = `${kind}/`;
  const contents = experts.map(({ id, delta, tensors }) => {
    const { parameters } = createDelta(delta, points);
    return { parameters, tensors: expertTensors(id, parameters, tensors) };
  });
  const vectors = commonVectors(experts, points);
  const parameters = stackedParameters(
    contents.map((content) => content.parameters),
    { slots: powerOfTwo(experts.length), prefix },
  );
  return {
    kind,
    parameters,
    // A projection that an (IA)³ expert leaves alone is scaled by 1; what is missing of the others adds 0.
    tensors: stackTensors(parameters, contents, { prefix, fill: kind === "ia3" ? 1 : 0 }),
    scales: experts.map(({ id, delta }) => ({ id, scale: delta.kind === "lora" ? loraScale(delta.config) : 1 })),
    hooks: (options) => {
      switch (kind) {
        case "lora":
          return stackedLora(options, 1);
        case "bottleneck":
          return stackedBottleneck(options);
        case "ia3":
          return stackedIa3(options, vectors);
      }
    },
    key: vectors.map(({ scales }) => scales).join(),
  };
}

/** The vectors of all (IA)³ experts; none for other kinds. */
function commonVectors(experts: readonly MixedExpert[], points: HookPoints): Ia3Vector[] {
  const common = new Map<string, Ia3Vector>();
  for (const { id, delta } of experts) {
    for (const vector of delta.kind === "ia3" ? ia3Vectors(delta.config, points) : []) {
      const known = common.get(vector.name) ?? vector;
      if (known.scales !== vector.scales) {
        throw new CadreError(
          "unsupported",
          `experts: "${id}": expected "${vector.name}" to scale the ${known.scales} of its projection as in the other experts, got the ${vector.scales}`,
        );
      }
      common.set(vector.name, known);
    }
  }
  return [...common.values()].sort((left, right) => (left.name < right.name ? -1 : 1));
}

function rowExpertsName(kind: Kind): string {
  return `${kind}/rowExperts`;
}

function segmentWeightsName(kind: Kind): string {
  return `${kind}/segmentWeights`;
}

/** An example has at least one target sequence, so a row has at most as many examples. */
function rowInputs(kind: Kind, { rows, sequences }: BatchShape, perRow: number): BatchInput[] {
  return [
    { name: rowExpertsName(kind), dtype: "int32", shape: [rows, perRow] },
    { name: segmentWeightsName(kind), dtype: "float32", shape: [rows, sequences + 1, perRow] },
  ];
}

interface Placement {
  readonly kinds: readonly Kind[];
  readonly places: ReadonlyMap<string, { readonly kind: Kind; readonly slot: number; readonly scale: number }>;
  readonly perRow: number;
}

/** @throws CadreError `not-found` for an unknown expert, `invalid-argument` for a weight that is no number or more experts than a row has room for. */
function rowFeeds({ shape, segmentExperts = [] }: PackedBatch, placement: Placement): Record<string, Tensor> {
  const { rows, sequences } = shape;
  const { kinds, places, perRow } = placement;
  if (segmentExperts.length > rows || segmentExperts.some((segments) => segments.length > sequences)) {
    throw new CadreError(
      "invalid-argument",
      `experts: expected lists for at most ${rows} rows of ${sequences} examples, got more`,
    );
  }
  const feeds = new Map(
    kinds.map((kind) => [
      kind,
      { experts: new Int32Array(rows * perRow), weights: new Float32Array(rows * (sequences + 1) * perRow) },
    ]),
  );
  segmentExperts.forEach((segments, row) => {
    const used = new Map<Kind, number[]>(kinds.map((kind) => [kind, []]));
    segments.forEach((experts, index) => {
      for (const { id, weight } of experts) {
        const found = places.get(id);
        const feed = found && feeds.get(found.kind);
        const slots = found && used.get(found.kind);
        if (found === undefined || feed === undefined || slots === undefined) {
          throw new CadreError(
            "not-found",
            `experts: row ${row}: expected experts among ${[...places.keys()].join(", ") || "none"}, got "${id}"`,
          );
        }
        expectWeight(row, { id, weight });
        if (!slots.includes(found.slot)) {
          slots.push(found.slot);
        }
        const column = slots.indexOf(found.slot);
        if (column >= perRow) {
          throw new CadreError(
            "invalid-argument",
            `experts: row ${row}: expected at most ${perRow} ${found.kind} experts, got more; raise perRow or put its examples into different rows`,
          );
        }
        feed.experts[row * perRow + column] = found.slot;
        const position = (row * (sequences + 1) + index + 1) * perRow + column;
        feed.weights[position] = (feed.weights[position] ?? 0) + weight * found.scale;
      }
    });
  });
  const tensors: Record<string, Tensor> = {};
  for (const [kind, { experts, weights }] of feeds) {
    tensors[rowExpertsName(kind)] = { dtype: "int32", shape: [rows, perRow], data: experts };
    tensors[segmentWeightsName(kind)] = { dtype: "float32", shape: [rows, sequences + 1, perRow], data: weights };
  }
  return tensors;
}

function expectWeight(row: number, { id, weight }: WeightedExpert): void {
  if (!Number.isFinite(weight)) {
    throw new CadreError("invalid-argument", `experts: row ${row}: expected a finite weight of "${id}", got ${weight}`);
  }
}
