import { cpus, totalmem } from "node:os";
import { benchEncode } from "./encode.js";
import { benchExperts } from "./experts.js";
import { benchGenerate } from "./generate.js";
import { benchMixed } from "./mixed.js";
import { benchOverlap } from "./overlap.js";
import { benchRoute } from "./route.js";
import { benchSize } from "./size.js";
import { benchTrain } from "./train.js";

/** `npm run bench -- <name> [--json]`: prints the figures that RESULTS.md claims. `experts`, `generate`, `mixed`, `route` and `size` take `--smoke`: does it run at all? */
const benches: Readonly<
  Record<string, (options: { readonly json: boolean; readonly smoke: boolean }) => Promise<void>>
> = {
  encode: benchEncode,
  experts: benchExperts,
  generate: benchGenerate,
  mixed: benchMixed,
  overlap: benchOverlap,
  route: benchRoute,
  size: benchSize,
  train: benchTrain,
};

const [name, ...flags] = process.argv.slice(2);
const bench = name === undefined ? undefined : benches[name];
if (bench === undefined) {
  console.error(`usage: npm run bench -- <${Object.keys(benches).join("|")}> [--json]`);
  process.exitCode = 2;
} else {
  const json = flags.includes("--json");
  if (!json) {
    const [cpu] = cpus();
    console.log(
      `${cpu?.model ?? "unknown processor"}, ${cpus().length} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.version}\n`,
    );
  }
  await bench({ json, smoke: flags.includes("--smoke") });
}
