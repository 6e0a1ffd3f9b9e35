/**
 * Takes an adapter that Python's peft saved (LoRA or IA3) into a library, and asks it. The base must be the one that it was trained on; peft does
 * not record which.
 *
 *   node import-peft.js LIBRARY ADAPTER BASE TEXT
 */
import { spawnSync } from "node:child_process";
import { basename, resolve } from "node:path";
import { openCadre } from "cadre";

const [library = "library", adapter = "adapter", base = "google/flan-t5-small", question = "I was charged twice"] =
  process.argv.slice(2);

// The command that the package brings reads adapter_config.json, checks every tensor against the base, and writes the expert whole or not at all.
const flags = ["cadre", "experts", "import", library, adapter, "--base", base];
const { status } = spawnSync("npx", flags, { stdio: "inherit", shell: process.platform === "win32" });
if (status !== 0) process.exit(status ?? 1);

// It has neither labels nor keys: it answers by name, and labels are given with the question.
await using cadre = await openCadre(library);
const experts = basename(resolve(adapter));
const { scores } = await cadre.classify(question, { experts, choices: ["billing", "technical"] });
for (const { choice, probability } of scores) console.log(`${choice} ${(100 * probability).toFixed(0)} %`);
