/** A training in a process of its own, to be killed: `node kill-resume-child.js FOLDER STEPS_PER_RUN THREADS`. Says "started" and "finished". */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { shuffledStream } from "../../src/mixtures/example-stream.js";
import { openDevice } from "../../src/runtime/node/open-device.js";
import { checkpointFolder } from "../../src/training/node/checkpoint-folder.js";
import { openMetricsFile } from "../../src/training/node/metrics-file.js";
import { train } from "../../src/training/train.js";
import { bitsOf, tinyExamples, tinyOptions } from "./tiny-training.js";

const [folder = "", stepsPerRun, threads] = process.argv.slice(2);
const device = await openDevice({ threads: Number(threads) });
const metrics = openMetricsFile(join(folder, "metrics.jsonl"));
const { step, tensors } = await train(
  tinyOptions(device, {
    steps: 46,
    stepsPerRun: Number(stepsPerRun),
    // Some are longer than a pack, so that the counts of what was cut have to survive as well.
    stream: shuffledStream(tinyExamples({ longest: 30 }), 5),
    checkpoints: { store: checkpointFolder(join(folder, "checkpoints")), everySteps: 6 },
    validation: {
      everySteps: 8,
      // Ups and downs, so that the best is neither the first nor the last.
      score: async (state) => Math.sin(1e4 * Number((await state.read()).get("shared.weight")?.data[40])),
    },
    onEvent: (event) => {
      metrics.onEvent(event);
      if (event.type === "training-start") {
        process.stdout.write("started\n");
      }
    },
  }),
);
metrics.close();
await device.close();
writeFileSync(join(folder, "result.json"), JSON.stringify({ step, tensors: bitsOf(tensors) }));
process.stdout.write("finished\n");
