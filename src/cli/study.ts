import { join, resolve } from "node:path";
import { CadreError } from "../core/errors.js";
import { sha256 } from "../core/hash.js";
import { hashBase } from "../library/base-hash.js";
import { type ModelFolder, openModelFolder } from "../models/node/model-folder.js";
import { resolveBase } from "../models/node/resolve-base.js";
import { writeReport } from "../report/node/write-report.js";
import { openDevice } from "../runtime/node/open-device.js";
import { armRecipe } from "../studies/arm.js";
import { CARD_SETS, type CardRunProgress, studyBaseCard } from "../studies/base-card.js";
import { cardRecipe } from "../studies/base-card-result.js";
import { studyLearnability } from "../studies/learnability.js";
import type { LearnabilityRun } from "../studies/learnability-run.js";
import { openTokenizer } from "../tokenizers/node/open-tokenizer.js";
import { choiceOption, threadsOption } from "./options.js";

/** What the command line passes. */
export interface StudyCommandOptions {
  readonly base: string;
  readonly data: string;
  readonly results?: string;
  readonly out: string;
  readonly part: string;
  readonly sets?: readonly string[];
  readonly threads?: string;
}

/** The studies by name. */
const studies = ["learnability", "base-card"] as const;

/** `cadre study NAME`. */
export async function studyCommand(wanted: string, options: StudyCommandOptions): Promise<void> {
  const name = studies.find((study) => study === wanted);
  if (name === undefined) {
    throw new CadreError("invalid-argument", `study: expected ${studies.join(" or ")}, got "${wanted}"`);
  }
  const threads = threadsOption(options.threads);
  const folder = await resolveBase(options.base);
  await using device = await openDevice(threads);
  await using base = await openModelFolder(folder);
  const common = {
    device,
    base,
    tokenizer: await openTokenizer(folder),
    dataFolder: resolve(options.data, "superglue-cls"),
    resultsFolder: join(options.results ?? join("runs", "studies", name), await keyOf(base)),
    part: partOf(options.part),
  };
  const report =
    name === "learnability"
      ? await studyLearnability({ ...common, onRun: printLearnabilityRun })
      : await studyBaseCard({ ...common, recipe: cardRecipe, sets: setsOf(options.sets), onRun: printCardRun });
  if (report !== undefined) {
    const { markdown, html } = await writeReport(report, { folder: options.out, name });
    console.log(`${markdown}\n${html}`);
  }
}

/** Results of another base, or of arms that are trained in another way, must not be taken for this one's. */
async function keyOf({ model, weights }: ModelFolder): Promise<string> {
  const arms = (["full", "lora", "bottleneck"] as const).map((trained) =>
    armRecipe({ weights: "base", trained, loss: "tokens and choices", learningRate: 1, steps: 100, seed: 1 }),
  );
  const key = JSON.stringify([await hashBase({ model, weights }), arms]);
  return (await sha256(new TextEncoder().encode(key))).slice(0, 12);
}

function printLearnabilityRun(done: number, total: number, run: LearnabilityRun): void {
  const { set, armName, arm, accuracy, seconds } = run;
  const percents = Object.values(accuracy).map(percent).join(" → ");
  console.log(
    `${done}/${total}  ${set}  ${armName}  ${arm.loss} ${arm.learningRate}  ${percents} %  ${seconds.toFixed(0)} s`,
  );
}

function printCardRun({ set, arm, learningRate, seed, validationAccuracies, seconds }: CardRunProgress): void {
  console.log(
    `${set}  ${arm}  ${learningRate}  seed ${seed}  validation ${validationAccuracies.map(percent).join(" → ")} %  ${seconds.toFixed(0)} s`,
  );
}

/** @throws CadreError `invalid-argument` */
function setsOf(wanted: readonly string[] | undefined): readonly string[] {
  return wanted === undefined ? CARD_SETS : wanted.map((name) => choiceOption("sets", name, CARD_SETS));
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}

function partOf(text: string): { readonly number: number; readonly of: number } {
  const [number, of] = text.split("/").map(Number);
  if (number === undefined || of === undefined || !(Number.isInteger(of) && number >= 1 && number <= of)) {
    throw new CadreError("invalid-argument", `--part: expected NUMBER/OF such as 1/2, got "${text}"`);
  }
  return { number: number - 1, of };
}
