import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openDevice } from "./open-device.js";
import { externalConstant, floats, model, node, value } from "./tiny-models.test.helpers.js";

const WEIGHTS = Float32Array.of(1, 2, 3, 4);

test("weights are mapped from a file of the weights folder, at any offset", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cadre-weights-"));
  try {
    // As in a safetensors file: a directory of some odd length, then the elements.
    const offset = 21;
    await writeFile(
      join(folder, "model.safetensors"),
      Buffer.concat([Buffer.alloc(offset, 0x20), Buffer.from(WEIGHTS.buffer)]),
    );
    const bytes = model({
      inputs: [value("x", ["batch", 2])],
      outputs: [value("y", ["batch", 2])],
      nodes: [node("MatMul", ["x", "w"], "y")],
      constants: [externalConstant("w", [2, 2], { file: "model.safetensors", offset, length: WEIGHTS.byteLength })],
    });
    await using device = await openDevice({ threads: 1 });
    await using program = await device.compile(bytes, { weightsFolder: folder });
    expect((await program.run({ x: floats([1, 2], [1, 1]) })).outputs.y).toEqual(floats([1, 2], [4, 6]));
    await expect(device.compile(bytes, { name: "lost", weightsFolder: join(folder, "nowhere") })).rejects.toMatchObject(
      {
        code: "invalid-argument",
        message: expect.stringMatching(/^compile\(lost\): ONNX Runtime failed: .*model\.safetensors/s),
      },
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
