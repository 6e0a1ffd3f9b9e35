import { groupBy } from "../core/group-by.js";
import { bytesPerElement } from "../tensors/dtype.js";
import { type Graph, type GraphNode, only, type Value } from "./graph.js";
import { type Dim, fixedElementCount, INFERRED_DIM } from "./shape.js";

/** Operators whose result ONNX Runtime puts where a first or second input of its size lies that nothing reads any more. */
const IN_PLACE = new Set([
  ...["Add", "Sub", "Mul", "Div", "Neg", "Exp", "Log", "Sqrt", "Reciprocal", "Tanh", "Sigmoid", "Erf", "Relu"],
  ...["Softmax", "LogSoftmax", "Cast"],
]);
/** The same, of the first input alone. */
const IN_PLACE_OF_FIRST = new Set(["ScatterElements"]);
/** Operators whose result is the first input's memory under another shape. */
const ALIASES = new Set(["Reshape", "Identity"]);
/** Memory that an operator takes for itself while it runs, in multiples of one of its results: probabilities beside those it gives out; both branches. */
const SCRATCH = new Map([
  ["Attention", { output: 3, times: 1 }],
  ["Where", { output: 0, times: 2 }],
]);
const SIMULATED_ITERATIONS = 3;

/** Where results lie; what memory it takes is its own affair. */
export interface Allocator<Block> {
  readonly allocate: (bytes: number) => Block;
  readonly free: (block: Block) => void;
}

/** A piece of memory that results share, one after the other or under different shapes. */
interface Buffer {
  readonly bytes: number;
  /** Size of an element and dimensions: only results that agree in both take turns. */
  readonly form: string;
  /** Reads of its present content that are still to come, outputs included. */
  readers: number;
  /** The step after which nothing reads it. */
  last: number;
}

/**
 * Takes and frees the memory of one run of a graph as ONNX Runtime does, nodes in its order. Memory that nothing reads any more is kept for the
 * next result of that form, if there is one, however late (its allocation planner); outputs stay to the end; inputs and constants count nowhere.
 * A loop takes what its body and the values that it carries take.
 * @throws CadreError `invalid-argument` where a size is symbolic.
 */
export function walkMemory<Block>(graph: Graph, allocator: Allocator<Block>): void {
  for (const block of run(layOut(withoutUnneeded(graph, new Set())), allocator)) {
    allocator.free(block);
  }
}

/** What of a graph its outputs need. */
interface Plan {
  readonly graph: Graph;
  readonly steps: readonly Step[];
}

interface Step {
  readonly node: GraphNode;
  readonly bodies: readonly Plan[];
  /** Names of inputs, those of the bodies included. */
  readonly reads: readonly string[];
}

/** @param needed Names that something around the graph reads; gains those that the graph reads. */
function withoutUnneeded(graph: Graph, needed: Set<string>): Plan {
  for (const { value } of graph.outputs) {
    needed.add(value.name);
  }
  const steps: Step[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (node.outputs.some((output) => needed.has(output))) {
      const bodies = Object.values(node.attributes).flatMap((attribute) =>
        "graph" in attribute ? [withoutUnneeded(attribute.graph, needed)] : [],
      );
      const reads = [...node.inputs.filter((input) => input !== ""), ...bodies.flatMap(outerReads)];
      reads.forEach((name) => {
        needed.add(name);
      });
      steps.push({ node, bodies, reads });
    }
  }
  return { graph, steps: steps.reverse() };
}

function outerReads({ graph, steps }: Plan): string[] {
  const own = new Set([...graph.inputs.map(({ name }) => name), ...steps.flatMap(({ node }) => node.outputs)]);
  const reads = new Set([...steps.flatMap((step) => step.reads), ...graph.outputs.map(({ value }) => value.name)]);
  return [...reads].filter((name) => !own.has(name));
}

/** A graph's steps in order, with what each takes and frees. */
interface Layout {
  readonly steps: readonly {
    readonly bodies: readonly Layout[];
    readonly taken: readonly Buffer[];
    readonly ending: readonly Buffer[];
    /** Bytes of pieces that are there during the step only. */
    readonly scratch: readonly number[];
  }[];
  /** Hold the outputs. */
  readonly kept: readonly Buffer[];
}

function layOut({ graph, steps }: Plan): Layout {
  const ordered = executionOrder(steps);
  const sizeOf = createSizes(graph);
  const { taken, kept } = planBuffers(graph, ordered, sizeOf);
  const ending = groupBy(
    [...taken.values()].flat().filter((buffer) => !kept.has(buffer)),
    ({ last }) => last,
  );
  return {
    steps: ordered.map(({ node, bodies }, index) => ({
      bodies: bodies.map(layOut),
      taken: taken.get(index) ?? [],
      ending: ending.get(index) ?? [],
      scratch: scratchOf(node, sizeOf),
    })),
    kept: [...kept],
  };
}

/** @returns The memory of the outputs, which the caller frees. */
function run<Block>({ steps, kept }: Layout, allocator: Allocator<Block>): Block[] {
  const blocks = new Map<Buffer, Block>();
  const blockOf = (buffer: Buffer): Block[] => {
    const block = blocks.get(buffer);
    return block === undefined ? [] : [block];
  };
  for (const { bodies, taken, ending, scratch } of steps) {
    // Only at its end does a loop copy what it has carried and collected to its results.
    const inside = bodies.flatMap((body) => runLoop(body, allocator));
    for (const buffer of taken) {
      blocks.set(buffer, allocator.allocate(buffer.bytes));
    }
    const during = scratch.map(allocator.allocate);
    for (const block of [...inside, ...during, ...ending.flatMap(blockOf)]) {
      allocator.free(block);
    }
  }
  return kept.flatMap(blockOf);
}

/** Which buffers a graph's results lie in: those that are taken at each step, and those that hold outputs. */
function planBuffers(
  graph: Graph,
  ordered: readonly Step[],
  sizeOf: SizeOf,
): { readonly taken: ReadonlyMap<number, readonly Buffer[]>; readonly kept: ReadonlySet<Buffer> } {
  const outputs = new Set(graph.outputs.map(({ value }) => value.name));
  const uses = new Map<string, number>();
  for (const name of [...ordered.flatMap(({ reads }) => reads), ...outputs]) {
    uses.set(name, (uses.get(name) ?? 0) + 1);
  }
  const buffers = new Map<string, Buffer>();
  const forms = new Map<string, string>();
  const taken = new Map<number, Buffer[]>();
  /** By form, those that have been free for longest first. */
  const idle = new Map<string, Buffer[]>();
  ordered.forEach(({ node, bodies, reads }, index) => {
    node.outputs.forEach((name, position) => {
      const readers = uses.get(name) ?? 0;
      if (readers === 0) {
        return;
      }
      const size = sizeOf(node, name);
      forms.set(name, size.form);
      // An output is given away, and of a loop's results the runtime does not know the form.
      const owned = outputs.has(name) || bodies.length > 0;
      const shared =
        position === 0 && !outputs.has(name) ? sharedBuffer(node, size.form, { buffers, forms }) : undefined;
      const buffer = shared ?? (owned ? undefined : idle.get(size.form)?.pop());
      if (buffer === undefined) {
        const own = { ...size, form: bodies.length > 0 ? "" : size.form, readers, last: index };
        buffers.set(name, own);
        taken.set(index, [...(taken.get(index) ?? []), own]);
      } else {
        buffers.set(name, buffer);
        buffer.readers += readers;
      }
    });
    for (const name of reads) {
      const buffer = buffers.get(name);
      if (buffer !== undefined && --buffer.readers === 0) {
        buffer.last = index;
        const others = idle.get(buffer.form);
        if (others === undefined) {
          idle.set(buffer.form, [buffer]);
        } else {
          others.push(buffer);
        }
      }
    }
  });
  return { taken, kept: new Set([...outputs].flatMap((name) => buffers.get(name) ?? [])) };
}

/** The memory that holds a node's result beside something that was there before. @param forms Of the results so far, by name. */
function sharedBuffer(
  { opType, inputs }: GraphNode,
  form: string,
  { buffers, forms }: { readonly buffers: ReadonlyMap<string, Buffer>; readonly forms: ReadonlyMap<string, string> },
): Buffer | undefined {
  if (ALIASES.has(opType)) {
    return buffers.get(inputs[0] ?? "");
  }
  const candidates = IN_PLACE.has(opType)
    ? inputs.slice(0, 2)
    : IN_PLACE_OF_FIRST.has(opType)
      ? inputs.slice(0, 1)
      : [];
  const found = candidates.find((input) => buffers.get(input)?.readers === 1 && forms.get(input) === form);
  return found === undefined ? undefined : buffers.get(found);
}

/**
 * A loop's iterations, of which three are like any number: what one has made is there while the next runs, and goes when that is done.
 * (`LoopImpl::Execute` of ONNX Runtime.)
 * @returns What is left at the end: the last two iterations' memory.
 */
function runLoop<Block>(body: Layout, allocator: Allocator<Block>): Block[] {
  let before: Block[] = [];
  let last: Block[] = [];
  for (let iteration = 0; iteration < SIMULATED_ITERATIONS; iteration++) {
    for (const block of before) {
      allocator.free(block);
    }
    before = last;
    last = run(body, allocator);
  }
  return [...before, ...last];
}

/**
 * ONNX Runtime's default order: from every node that no other reads, the last one first, depth first into the inputs, the latest node first;
 * a node runs once its inputs have. (`GraphViewer` of onnxruntime 1.30; checked against a profile.)
 */
function executionOrder(steps: readonly Step[]): Step[] {
  const producer = new Map(
    steps.flatMap(({ node }, index) => node.outputs.map((name): [string, number] => [name, index])),
  );
  const sources = steps.map(({ reads }) => {
    const found = reads.flatMap((name) => producer.get(name) ?? []);
    return [...new Set(found)].sort((left, right) => left - right);
  });
  const isRead = new Set(sources.flat());
  const stack = steps.flatMap((_, index) => (isRead.has(index) ? [] : [index]));
  const visited = new Set<number>();
  const ordered: Step[] = [];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    if (top < 0) {
      ordered.push(...steps.slice(-top - 1, -top));
    } else if (!visited.has(top)) {
      visited.add(top);
      // Below zero: once its inputs are done.
      stack.push(-top - 1, ...(sources[top] ?? []).filter((source) => !visited.has(source)));
    }
  }
  return ordered;
}

function scratchOf(node: GraphNode, sizeOf: SizeOf): number[] {
  const scratch = SCRATCH.get(node.opType);
  const output = scratch && node.outputs[scratch.output];
  return scratch === undefined || output === undefined || output === ""
    ? []
    : Array.from({ length: scratch.times }, () => sizeOf(node, output).bytes);
}

/** Bytes and form of a node's result. */
type SizeOf = (node: GraphNode, name: string) => Pick<Buffer, "bytes" | "form">;

/** A size that a reshape infers is worked out from what goes in. */
function createSizes(graph: Graph): SizeOf {
  /** Sizes that stand for `INFERRED_DIM`, by value. */
  const inferred = new Map<string, number>();
  const dims = ({ name, shape }: Value): Dim[] =>
    shape.map((dim) => (dim === INFERRED_DIM ? (inferred.get(name) ?? dim) : dim));
  const count = (value: Value): number => fixedElementCount(dims(value), "walkMemory");
  return ({ opType, inputs }, name) => {
    const value = only(graph.valueOf(name));
    if (value.shape.includes(INFERRED_DIM)) {
      const rest = value.shape.filter((dim) => dim !== INFERRED_DIM);
      const size =
        opType === "Reshape"
          ? count(only(graph.valueOf(inputs[0] ?? ""))) / fixedElementCount(rest, "walkMemory")
          : inputs.map((input) => inferred.get(input)).find((known) => known !== undefined);
      if (size !== undefined) {
        inferred.set(name, size);
      }
    }
    const element = bytesPerElement(value.dtype);
    return { bytes: element * count(value), form: [element, ...dims(value)].join() };
  };
}
