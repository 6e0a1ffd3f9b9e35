import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readJson } from "../../src/core/node/json.js";
import { openModelFolder, saveModelFolder } from "../../src/models/node/model-folder.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { castTensor } from "../../src/tensors/convert.js";
import { openSafetensors, writeSafetensors } from "../../src/tensors/node/safetensors-file.js";
import type { Tensor } from "../../src/tensors/tensor.js";
import { readParameters } from "../../src/training/weights.js";
import { evaluate } from "./evaluate.js";
import { batchOf, bytesOf, expectWithin, FIXTURES, floatsOf, readTensors } from "./fixture.js";

const forms = ["v1_1", "v1_0"].flatMap((name) =>
  ["config.json", "config.transformers5.json"].map((configFile) => ({ name, configFile })),
);

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-model-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A copy of a fixture model, with one of its configurations. */
async function copyModel(name: string, configFile = "config.json"): Promise<string> {
  const copy = join(folder, "copy");
  await mkdir(copy);
  await copyFile(join(FIXTURES, name, configFile), join(copy, "config.json"));
  await copyFile(join(FIXTURES, name, "model.safetensors"), join(copy, "model.safetensors"));
  return copy;
}

/** Writes a model's tensors again, changed. */
async function rewrite(path: string, change: (tensors: Map<string, Tensor>) => void): Promise<void> {
  const tensors = new Map<string, Tensor>();
  {
    await using source = await openSafetensors(join(path, "model.safetensors"));
    for (const name of source.tensors.keys()) {
      tensors.set(name, await source.read(name));
    }
  }
  change(tensors);
  await writeSafetensors(join(path, "model.safetensors"), tensors, { format: "pt" });
}

test.each(forms)(
  "$name with $configFile: saved and opened again it is the same model",
  async ({ name, configFile }) => {
    const original = await copyModel(name, configFile);
    const saved = join(folder, "deep", "saved");
    await using before = await openModelFolder(original);
    const tensors = await readParameters(before.weights, before.model.parameters);
    await saveModelFolder(saved, { config: before.config, tensors });
    await using after = await openModelFolder(saved);
    expect(after.config).toEqual(before.config);
    expect([...after.weights.tensors.keys()].sort()).toEqual([...before.weights.tensors.keys()].sort());
    for (const parameter of before.model.parameters.map((spec) => spec.name)) {
      const [one, other] = [await before.weights.read(parameter), await after.weights.read(parameter)];
      expect(other.shape).toEqual(one.shape);
      expect(bytesOf(other).equals(bytesOf(one)), parameter).toBe(true);
    }
    expect(after.weights.metadata.get("format")).toBe("pt");
    // Every field of the file as it was, those that Cadre does not read among them.
    expect(await readJson(join(saved, "config.json"))).toEqual(await readJson(join(original, "config.json")));
  },
);

test.each(forms)(
  "$name with $configFile: the saved folder computes what transformers computes",
  async ({ name, configFile }) => {
    await using original = await openModelFolder(await copyModel(name, configFile));
    const saved = join(folder, "saved");
    await saveModelFolder(saved, {
      config: original.config,
      tensors: await readParameters(original.weights, original.model.parameters),
    });
    await using opened = await openModelFolder(saved);
    const reference = await readTensors(`${name}/case.safetensors`);
    const { model } = opened;
    await using device = await openDevice({ threads: 1 });
    const tensors = await readParameters(opened.weights, model.parameters);
    const { tokenLoss } = await evaluate({ device, model, batch: batchOf(reference, model), tensors });
    expectWithin("loss", [tokenLoss], floatsOf(reference, "loss"), 1e-5);
  },
);

test("half-precision weights are read as float32", async () => {
  const copy = await copyModel("v1_1");
  await rewrite(copy, (tensors) => {
    for (const [name, tensor] of tensors) {
      tensors.set(name, castTensor(tensor, "bfloat16"));
    }
  });
  await using opened = await openModelFolder(copy);
  const tensors = await readParameters(opened.weights, opened.model.parameters);
  expect([...tensors.values()].every(({ dtype }) => dtype === "float32")).toBe(true);
});

test("an older tied file that also holds its head is opened as tied", async () => {
  const copy = await copyModel("v1_0");
  await rewrite(copy, (tensors) => {
    const embedding = tensors.get("shared.weight");
    for (const name of ["lm_head.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"]) {
      if (embedding !== undefined) {
        tensors.set(name, embedding);
      }
    }
  });
  await using opened = await openModelFolder(copy);
  expect(opened.config).toMatchObject({ tied: true, scaledOutput: true });
  expect(opened.model.parameters.map(({ name }) => name)).not.toContain("lm_head.weight");
});

test("a missing tensor is named", async () => {
  const copy = await copyModel("v1_1");
  await rewrite(copy, (tensors) => {
    tensors.delete("decoder.block.1.layer.1.EncDecAttention.k.weight");
  });
  await expect(openModelFolder(copy)).rejects.toMatchObject({
    code: "mismatch",
    message: `${copy}: expected a tensor "decoder.block.1.layer.1.EncDecAttention.k.weight" [15, 16] as config.json says, found none`,
  });
});

test("a tensor of the wrong shape is named with both shapes", async () => {
  const copy = await copyModel("v1_1");
  await rewrite(copy, (tensors) => {
    const tensor = tensors.get("encoder.block.0.layer.1.DenseReluDense.wo.weight");
    if (tensor !== undefined) {
      tensors.set("encoder.block.0.layer.1.DenseReluDense.wo.weight", { ...tensor, shape: [20, 16] });
    }
  });
  await expect(openModelFolder(copy)).rejects.toMatchObject({
    code: "mismatch",
    message: `${copy}: expected a tensor "encoder.block.0.layer.1.DenseReluDense.wo.weight" [16, 20] as config.json says, found [20, 16]`,
  });
});

test("an untied model without a head is refused, naming it", async () => {
  const copy = await copyModel("v1_1");
  await rewrite(copy, (tensors) => {
    tensors.delete("lm_head.weight");
  });
  await expect(openModelFolder(copy)).rejects.toThrow('expected a tensor "lm_head.weight" [64, 16]');
});

test("a configuration is refused with every field that is wrong", async () => {
  const copy = await copyModel("v1_1");
  const config = JSON.parse(await readFile(join(copy, "config.json"), "utf8"));
  await writeFile(join(copy, "config.json"), JSON.stringify({ ...config, d_model: -1, model_type: "bert" }));
  await expect(openModelFolder(copy)).rejects.toMatchObject({
    code: "invalid-file",
    message: expect.stringMatching(/config\.json.*(d_model.*model_type|model_type.*d_model)/s),
  });
});

test("a folder without weights says what is missing", async () => {
  const copy = await copyModel("v1_1");
  await rm(join(copy, "model.safetensors"));
  await expect(openModelFolder(copy)).rejects.toMatchObject({ code: "not-found" });
});
