import { createRandom, hashText } from "../core/random.js";
import type { Tensor } from "../tensors/tensor.js";
import { elementCount } from "../tensors/tensor.js";
import type { ParameterSpec } from "./parameter.js";

/** Starting values of a parameter: its own stream of the seed, so that they do not depend on what other parameters there are. */
export function initialTensor(parameter: ParameterSpec, seed: number): Tensor<"float32"> {
  const data = new Float32Array(elementCount(parameter.shape));
  const { initializer } = parameter;
  if (initializer.kind === "ones") {
    data.fill(1);
  } else if (initializer.kind === "normal") {
    const random = createRandom(seed, hashText(parameter.name));
    for (let index = 0; index < data.length; index++) {
      data[index] = random.nextNormal() * initializer.standardDeviation;
    }
  }
  return { dtype: "float32", shape: parameter.shape, data };
}

/** Starting values of many parameters by name. */
export function initialTensors(parameters: readonly ParameterSpec[], seed: number): Map<string, Tensor<"float32">> {
  return new Map(parameters.map((parameter) => [parameter.name, initialTensor(parameter, seed)]));
}
