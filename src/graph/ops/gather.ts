import { CadreError } from "../../core/errors.js";
import { emitOne, expectDType, graphOf, type Value } from "../graph.js";
import { formatShape, normalizeAxis, type Shape, sameShape } from "../shape.js";
import { expandNode, joinedDim, reshapeNode, runtimeZeros } from "./primitives.js";

/** Rows `indices` of a table `[rows, ...]`: an embedding. Indices (int32 or int64) count from 0; result `[...indices, ...]`. */
export function gatherRows(table: Value, indices: Value): Value {
  expectDType("gatherRows", "indices", indices, "int32", "int64");
  const [rows, ...rest] = table.shape;
  if (rows === undefined) {
    throw new CadreError("invalid-argument", "gatherRows: expected a table of rank 1 or more, got a scalar");
  }
  const output = gatherNode(table, indices);
  output.graph.record({
    label: "gatherRows",
    inputs: [table],
    outputs: [output],
    backward: ([gradient]) => {
      if (gradient === undefined) {
        return [];
      }
      const count = joinedDim(indices.shape);
      return [
        scatterAddNode(
          runtimeZeros(indices, table.dtype, table.shape),
          reshapeNode(indices, [count]),
          reshapeNode(gradient, [count, ...rest]),
        ),
      ];
    },
  });
  return output;
}

/**
 * `base` with `updates[i]` added to row `indices[i]`; indices may repeat. `base [rows, ...]`, `indices [count]`, `updates [count, ...]`.
 *
 * Uses ScatterElements: ScatterND with `reduction=add` races on the CPU provider when indices repeat (wrong sums in 34 of 200 runs).
 */
export function scatterAddRows(base: Value, indices: Value, updates: Value): Value {
  expectDType("scatterAddRows", "indices", indices, "int32", "int64");
  const expected = [...indices.shape, ...base.shape.slice(1)];
  if (indices.shape.length !== 1 || !sameShape(updates.shape, expected)) {
    throw new CadreError(
      "invalid-argument",
      `scatterAddRows: expected indices [count] and updates [count, ...${formatShape(base.shape.slice(1))}], got ${formatShape(indices.shape)} and ${formatShape(updates.shape)}`,
    );
  }
  const output = scatterAddNode(base, indices, updates);
  output.graph.record({
    label: "scatterAddRows",
    inputs: [base, updates],
    outputs: [output],
    backward: ([gradient], needed) => [gradient, gradient && needed[1] ? gatherNode(gradient, indices) : undefined],
  });
  return output;
}

/** Along `axis`, the element at `indices`; every other axis is taken in step: `output[i][j] = input[i][indices[i][j]]` for axis 1. */
export function gatherElements(input: Value, indices: Value, axis: number): Value {
  expectDType("gatherElements", "indices", indices, "int32", "int64");
  const resolved = normalizeAxis(axis, input.shape.length, "gatherElements");
  const others = (shape: Shape): Shape => shape.filter((_, index) => index !== resolved);
  if (indices.shape.length !== input.shape.length || !sameShape(others(indices.shape), others(input.shape))) {
    throw new CadreError(
      "invalid-argument",
      `gatherElements: expected indices like ${formatShape(input.shape)} except at axis ${resolved}, got ${formatShape(indices.shape)}`,
    );
  }
  const graph = graphOf("gatherElements", input, indices);
  const output = emitOne(
    graph,
    { opType: "GatherElements", inputs: [input, indices], attributes: { axis: { int: resolved } } },
    input.dtype,
    indices.shape,
  );
  graph.record({
    label: "gatherElements",
    inputs: [input],
    outputs: [output],
    backward: ([gradient]) => [
      gradient && scatterElementsNode(runtimeZeros(indices, input.dtype, input.shape), indices, gradient, resolved),
    ],
  });
  return output;
}

/** `gatherRows` without a recorded gradient. */
export function gatherNode(table: Value, indices: Value): Value {
  return emitOne(
    graphOf("gatherRows", table, indices),
    { opType: "Gather", inputs: [table, indices], attributes: { axis: { int: 0 } } },
    table.dtype,
    [...indices.shape, ...table.shape.slice(1)],
  );
}

/** `scatterAddRows` without a recorded gradient. */
export function scatterAddNode(base: Value, indices: Value, updates: Value): Value {
  // [count] → [count, 1, ...] → [count, ...]: ScatterElements wants an index for every element.
  const column = reshapeNode(indices, [...indices.shape, ...base.shape.slice(1).map(() => 1)]);
  return scatterElementsNode(base, expandNode(column, updates.shape), updates, 0);
}

function scatterElementsNode(base: Value, indices: Value, updates: Value, axis: number): Value {
  return emitOne(
    graphOf("scatterElements", base, indices, updates),
    {
      opType: "ScatterElements",
      inputs: [base, indices, updates],
      attributes: { axis: { int: axis }, reduction: { string: "add" } },
    },
    base.dtype,
    base.shape,
  );
}
