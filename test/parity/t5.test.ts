import { expect, test } from "vitest";
import { relativePositionBuckets } from "../../src/models/t5/relative-position.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { evaluate } from "./evaluate.js";
import { expectCase, targetPositions } from "./expect-case.js";
import { batchOf, integersOf, readModel, readTensors } from "./fixture.js";

const device = await openDevice({ threads: 1 });

test.each([
  { folder: "v1_1", configFile: "config.json" },
  { folder: "v1_1", configFile: "config.transformers5.json" },
  { folder: "v1_0", configFile: "config.json" },
  { folder: "v1_0", configFile: "config.transformers5.json" },
])("$folder with $configFile computes what transformers computes", async ({ folder, configFile }) => {
  const { model, weights } = await readModel(folder, configFile);
  const reference = await readTensors(`${folder}/case.safetensors`);
  const batch = batchOf(reference, model);
  const evaluation = await evaluate({ device, model, batch, tensors: weights, differentiate: "tokens" });
  const trained = model.parameters.map(({ name }) => name);
  expect(trained.toSorted()).toEqual([...weights.keys()].sort());
  expectCase({ reference, evaluation, batch, vocabularySize: model.vocabularySize, trained });
});

test.each(["v1_1", "v1_0"])("%s: the decoder reads what transformers' decoder reads", async (folder) => {
  const { model } = await readModel(folder);
  const reference = await readTensors(`${folder}/case.safetensors`);
  const batch = batchOf(reference, model);
  const decoderIds = model.feeds(batch).decoderIds;
  const expected = integersOf(reference, "decoder_input_ids");
  const positions = targetPositions(batch);
  expect(positions.map((position) => decoderIds?.data[position])).toEqual(
    positions.map((position) => expected[position]),
  );
});

test.each(["v1_1", "v1_0"])("%s: distances fall into transformers' buckets", async (folder) => {
  const { config } = await readModel(folder);
  const reference = await readTensors(`${folder}/case.safetensors`);
  for (const form of ["bidirectional", "causal"] as const) {
    const expected = integersOf(reference, `buckets.${form}`);
    const reach = (expected.length - 1) / 2;
    const buckets = relativePositionBuckets({
      queries: 2 * reach + 1,
      keys: 2 * reach + 1,
      buckets: config.relativeBuckets,
      maxDistance: config.relativeMaxDistance,
      bidirectional: form === "bidirectional",
    });
    // The query in the middle sees distances from -reach to reach.
    const middle = reach * (2 * reach + 1);
    expect(buckets.slice(middle, middle + 2 * reach + 1)).toEqual(expected);
  }
});
