import { text as readText } from "node:stream/consumers";
import type {
  AnsweredInput,
  AnswerRouting,
  Cadre,
  Classification,
  ExpertSelection,
  GenerateTextOptions,
} from "../cadre/cadre.js";
import { openCadre } from "../cadre/node/open-cadre.js";
import { CadreError } from "../core/errors.js";
import { openLibrary } from "../library/node/library.js";
import { quote } from "./describe-experts.js";
import { explainRouting } from "./explain-routing.js";
import { interruptible } from "./interruptible.js";
import { deviceOptions, numberOption, offlineOption } from "./options.js";

/** Options of `cadre ask`, as commander gives them. */
export interface AskCommandOptions {
  readonly experts?: string;
  readonly choices?: string;
  readonly maxTokens?: string;
  readonly temperature?: string;
  readonly seed?: string;
  readonly trace?: boolean;
  readonly base?: string;
  readonly offline?: boolean;
  readonly device?: string;
  readonly threads?: string;
  readonly json?: boolean;
}

/** `cadre ask LIBRARY TEXT`: classifies where choices are known, writes text otherwise. */
export async function askCommand(path: string, given: string, options: AskCommandOptions): Promise<void> {
  const { kind, ...threads } = deviceOptions(options);
  const drawing = drawingOptions(options);
  const choices = options.choices?.split(",").map((choice) => choice.trim());
  const experts = selectionOf(options.experts);
  const input = given === "-" ? (await readText(process.stdin)).trimEnd() : given;
  await interruptible(async (signal) => {
    await using cadre = await openCadre(path, {
      ...threads,
      ...(kind === undefined ? {} : { device: kind }),
      ...(options.base === undefined ? {} : { base: options.base }),
      ...offlineOption(options),
      signal,
    });
    const question = { input, choices, experts, drawing, signal, json: options.json ?? false };
    const answered = await answer(cadre, question);
    if (options.json === true) return;
    if (answered.inputTokensCut > 0) {
      const { inputTokens, inputTokensCut } = answered;
      console.error(
        `note: the text has ${inputTokens + inputTokensCut} tokens; the last ${inputTokensCut} were not read`,
      );
    }
    if (options.trace === true) console.log(`\n${(await explain(path, cadre, answered.routing)).join("\n")}`);
  });
}

interface AskedQuestion {
  readonly input: string;
  readonly choices: readonly string[] | undefined;
  readonly experts: ExpertSelection;
  readonly drawing: Pick<GenerateTextOptions, "maxTokens" | "temperature" | "seed">;
  readonly signal: AbortSignal;
  readonly json: boolean;
}

/** Prints the answer. */
async function answer(cadre: Cadre, question: AskedQuestion): Promise<AnsweredInput> {
  const { input, choices, experts, drawing, signal, json } = question;
  if (choices !== undefined) {
    return printed(await cadre.classify(input, { choices, experts, signal }), question);
  }
  const routing = await cadre.route(input, { experts, signal });
  // Who answers is known now.
  const asked = { experts: routing.experts, signal };
  const own = sharedChoices(cadre, routing);
  if (own !== undefined) {
    return printed({ ...(await cadre.classify(input, { ...asked, choices: own })), routing }, question);
  }
  if (json) {
    const generation = { ...(await cadre.generate(input, { ...asked, ...drawing })), routing };
    console.log(JSON.stringify(generation, null, 2));
    return generation;
  }
  let answered: AnsweredInput | undefined;
  for await (const part of cadre.stream(input, { ...asked, ...drawing })) {
    process.stdout.write(part.text);
    answered = part.answered;
  }
  process.stdout.write("\n");
  if (answered === undefined) throw new CadreError("internal", "ask: a stream ended without a part");
  return { ...answered, routing };
}

function printed(answered: Classification, { json, drawing }: AskedQuestion): Classification {
  if (json) {
    console.log(JSON.stringify(answered, null, 2));
    return answered;
  }
  if (Object.keys(drawing).length > 0) {
    console.error(
      "note: this was a choice among labels; --max-tokens, --temperature and --seed count where text is written",
    );
  }
  const sorted = answered.scores.toSorted((left, right) => right.probability - left.probability);
  const shown = sorted.map(({ choice }) => quote(choice));
  const width = Math.max(...shown.map(({ length }) => length));
  console.log(answered.choice);
  for (const [index, { probability }] of sorted.entries()) {
    console.log(`  ${(shown[index] ?? "").padEnd(width)}  ${(100 * probability).toFixed(1).padStart(5)} %`);
  }
  return answered;
}

/** The labels that all answering experts were trained on; undefined where they have none, or others. */
function sharedChoices(cadre: Cadre, { experts }: AnswerRouting): readonly string[] | undefined {
  const [first, ...others] = experts.map(({ id }) => cadre.experts.find((one) => one.id === id)?.choices);
  return others.every((choices) => JSON.stringify(choices) === JSON.stringify(first)) ? first : undefined;
}

/** `auto`, `base`, an expert, or `a=0.5,b=0.5`. @throws CadreError `invalid-argument` */
function selectionOf(text: string | undefined): ExpertSelection {
  if (text === undefined) return "auto";
  if (!text.includes("=")) return text;
  return text.split(",").map((part) => {
    const [, id, weight = ""] = /^(.+)=([^=]+)$/.exec(part.trim()) ?? [];
    if (id === undefined || weight.trim() === "" || !Number.isFinite(Number(weight))) {
      throw new CadreError(
        "invalid-argument",
        `--experts: expected an expert, auto, base, or a list as tickets=0.5,refunds=0.5, got "${text}"`,
      );
    }
    return { id, weight: Number(weight) };
  });
}

function drawingOptions({ maxTokens, temperature, seed }: AskCommandOptions): AskedQuestion["drawing"] {
  return {
    ...(maxTokens === undefined
      ? {}
      : { maxTokens: numberOption("max-tokens", maxTokens, { minimum: 1, maximum: 100_000, integer: true }) }),
    ...(temperature === undefined
      ? {}
      : { temperature: numberOption("temperature", temperature, { minimum: 0, maximum: 100 }) }),
    ...(seed === undefined
      ? {}
      : { seed: numberOption("seed", seed, { minimum: 0, maximum: 2 ** 32 - 1, integer: true }) }),
  };
}

async function explain(path: string, cadre: Cadre, routing: AnswerRouting): Promise<string[]> {
  const library = await openLibrary(path);
  const texts = new Map<string, readonly string[]>();
  for (const { id } of routing.ranking) texts.set(id, (await library.readKeys(id))?.texts ?? []);
  return explainRouting(routing, {
    nameOf: (id) => cadre.experts.find((expert) => expert.id === id)?.name ?? id,
    textOf: (expert, key) => texts.get(expert)?.[key],
  });
}
