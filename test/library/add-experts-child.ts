/**
 * Adds experts to a library in a process of its own: `node add-experts-child.js LIBRARY PREFIX COUNT NUMBERS`, each with a tensor of so many
 * numbers. Says the name of each one after it was added.
 */
import { openLibrary } from "../../src/library/node/library.js";
import { tensor } from "../../src/tensors/tensor.js";
import { sampleExpertWithKeys } from "./sample-experts.js";

const [path = "", prefix = "", count, numbers] = process.argv.slice(2);
const library = await openLibrary(path);
for (let index = 0; index < Number(count); index += 1) {
  const name = `${prefix} ${index}`;
  const expert = sampleExpertWithKeys(name);
  const data = new Float32Array(Number(numbers)).fill(index);
  await library.add({ ...expert, tensors: new Map([["weight", tensor("float32", [data.length], data)]]) });
  process.stdout.write(`${name}\n`);
}
