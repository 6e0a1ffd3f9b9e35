/** Prints which operators of a training step ran where on webgpu, as one line of JSON: provider to operators. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Device } from "../../src/runtime/device.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { train } from "../../src/training/train.js";
import { tinyOptions } from "../training/tiny-training.js";

const folder = mkdtempSync(join(tmpdir(), "cadre-placement-"));
{
  await using device = await openDevice({ kind: "webgpu", threads: 1 });
  const profiled: Device = {
    ...device,
    compile: (model, options) => device.compile(model, { ...options, profilePrefix: join(folder, "profile") }),
  };
  await train(tinyOptions(profiled, { steps: 1 }));
}
const [file = ""] = readdirSync(folder);
// Parse boundary: ONNX Runtime's profile.
const events = JSON.parse(readFileSync(join(folder, file), "utf8")) as {
  readonly cat: string;
  readonly args?: { readonly provider?: string; readonly op_name?: string };
}[];
rmSync(folder, { recursive: true });
const placed: Record<string, string[]> = {};
for (const { cat, args } of events) {
  if (cat !== "Node" || args?.provider === undefined || args.op_name === undefined) continue;
  placed[args.provider] ??= [];
  if (!placed[args.provider]?.includes(args.op_name)) placed[args.provider]?.push(args.op_name);
}
process.stdout.write(`${JSON.stringify(placed)}\n`);
