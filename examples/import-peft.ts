/**
 * Takes an adapter that Python's peft saved (LoRA or IA3) into a library, and asks it. The base must be the one that it was trained on; peft does
 * not record which.
 *
 *   node import-peft.ts LIBRARY ADAPTER BASE TEXT
 *
 * Node 24 runs it as it is; docs/ten-minutes.md says what older ones need.
 */
import { importAdapter, openCadre } from "cadre";

const [library = "library", adapter = "adapter", base = "google/flan-t5-small", question = "I was charged twice"] =
  process.argv.slice(2);

// Every tensor is checked against the base, and the expert is added whole or not at all.
const { manifest } = await importAdapter(library, adapter, { base });

// It has neither labels nor keys: it answers by name, and labels are given with the question.
await using cadre = await openCadre(library);
const { scores } = await cadre.classify(question, { experts: manifest.name, choices: ["billing", "technical"] });
for (const { choice, probability } of scores) console.log(`${choice} ${(100 * probability).toFixed(0)} %`);
