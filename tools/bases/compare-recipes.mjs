// Short pre-trainings at equal compute: each variant of recipes/cadre-mini.yaml gets the same FLOPs, not the same steps.
// node tools/bases/compare-recipes.mjs RUNS-FOLDER [VARIANT…]; results: RUNS-FOLDER/VARIANT/metrics.jsonl. The tokenizer of 4,096 pieces: tools/tokenizer/README.md
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parse, stringify } from "yaml";

const [folder = "runs/compare", ...wanted] = process.argv.slice(2);
const recipe = parse(readFileSync("recipes/cadre-mini.yaml", "utf8"));
const model = recipe.model;
/** GFLOP of a step, as `cadre pretrain` prints it at its start, and what differs from the recipe. */
const variants = {
  "rate-0.01": { gflop: 111, learningRate: 0.01 },
  "rate-0.02": { gflop: 111 },
  "rate-0.04": { gflop: 111, learningRate: 0.04 },
  "wide-feed-forward": { gflop: 155, model: { ...model, d_ff: 1024 } },
  "six-layers": { gflop: 150, model: { ...model, num_layers: 6 } },
  narrow: { gflop: 68, model: { ...model, d_model: 192, num_heads: 3, d_ff: 384 } },
  "pieces-4096": { gflop: 104, tokenizer: "/tmp/tok/final-4096" },
};
const BUDGET_GFLOP = 400 * 111;
for (const name of wanted.length > 0 ? wanted : Object.keys(variants)) {
  const { gflop, ...changes } = variants[name];
  const steps = Math.round(BUDGET_GFLOP / gflop);
  const run = join(folder, name);
  if (existsSync(join(run, "model", "model.safetensors"))) continue;
  mkdirSync(run, { recursive: true });
  const path = (relative) => resolve("recipes", relative);
  const short = {
    ...recipe,
    ...changes,
    tokenizer: path(changes.tokenizer ?? recipe.tokenizer),
    root: path(recipe.root),
    sources: path(recipe.sources),
    heldout: path(recipe.heldout),
    steps,
    warmupSteps: Math.round(steps * 0.15),
    decaySteps: Math.round(steps * 0.3),
    validationSteps: Math.round(steps / 4),
    checkpointSteps: steps,
  };
  writeFileSync(join(run, "recipe.yaml"), stringify(short));
  spawnSync("node", ["dist/src/cli/main.js", "pretrain", join(run, "recipe.yaml"), "--run", run], { stdio: "inherit" });
}
