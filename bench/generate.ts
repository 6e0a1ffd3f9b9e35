import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Cadre, ExpertSelection } from "../src/cadre/cadre.js";
import { openCadre } from "../src/cadre/node/open-cadre.js";
import { at } from "../src/core/at.js";
import type { WeightedExpert } from "../src/models/packed-batch.js";
import { generatedUserTask } from "../src/tasks/generated/generated-user-task.js";
import { findGeneratedTask } from "../src/tasks/generated/index.js";
import { BASES, type BenchBase, writeBenchLibrary } from "./generate-library.js";
import type { TransformersRun, TransformersRunOptions } from "./generate-transformers.js";
import { type Cost, measured, quantile } from "./measure.js";

/** Requests in flight. */
const CONCURRENCY = [1, 8, 32];
const EXPERTS = 32;
/** Experts whose weights are all their own, each with programs of its own: as many as the quickstart has, and as many as stay open. */
const WHOLE_EXPERTS: Readonly<Record<BenchBase, number>> = { "cadre-mini": 8, "T5-small": 2 };
const NEW_TOKENS = 32;

interface Question {
  readonly input: string;
  readonly choices: readonly string[];
}

interface Sizes {
  readonly questions: number;
  readonly rounds: number;
  readonly experts: number;
  readonly whole: Readonly<Record<BenchBase, number>>;
  readonly concurrency: readonly number[];
  readonly newTokens: number;
}

/** Per request, in milliseconds; `cpu` is processor time. */
interface Latency {
  readonly p50: number;
  readonly p95: number;
  readonly cpu: number;
}

/** Throughput of experts that answer in turn, as a share of that of one. */
interface Share {
  /** Requests or tokens a second of one expert. */
  readonly onePerSecond: number;
  readonly manyPerSecond: number;
  readonly share: number;
  /** Processor time of an answer or a token of one expert, in milliseconds. */
  readonly oneCpu: number;
  /** The share by processor time. */
  readonly cpuShare: number;
}

interface BaseRun {
  readonly base: BenchBase;
  readonly threads: number;
  readonly classify: { readonly one: Latency; readonly base: Latency };
  readonly generate: readonly {
    readonly concurrent: number;
    readonly tokensPerSecond: number;
    readonly cpuPerToken: number;
  }[];
  readonly classifyShare: Share;
  readonly generateShare: Share;
  readonly wholeShare: Share;
  /** Why it is absent, in words. */
  readonly transformers: TransformersRun | { readonly absent: string };
}

/**
 * Answers through `openCadre`: latency of `classify`, tokens a second, many experts against one, and `@huggingface/transformers` beside it.
 *
 * For the last, two environment variables: `CADRE_BENCH_TRANSFORMERS`, a scratch folder in which `ONNXRUNTIME_NODE_INSTALL=skip npm i @huggingface/transformers`
 * was run (it is no dependency), and `CADRE_BENCH_PYTHON`, a Python with `optimum-onnx` that exports the same weights (tools/parity/export_onnx.py).
 * `CADRE_BENCH_THREADS` sets the threads of both, `CADRE_BENCH_BASE` measures one of the bases alone.
 */
export async function benchGenerate({
  json,
  smoke,
}: {
  readonly json: boolean;
  readonly smoke: boolean;
}): Promise<void> {
  const sizes: Sizes = smoke
    ? {
        questions: 4,
        rounds: 1,
        experts: 2,
        whole: { "cadre-mini": 2, "T5-small": 2 },
        concurrency: [1, 2],
        newTokens: 4,
      }
    : {
        questions: 64,
        rounds: 5,
        experts: EXPERTS,
        whole: WHOLE_EXPERTS,
        concurrency: CONCURRENCY,
        newTokens: NEW_TOKENS,
      };
  const threads = Number(process.env.CADRE_BENCH_THREADS ?? availableParallelism());
  const only = process.env.CADRE_BENCH_BASE;
  if (only !== undefined && !BASES.some((name) => name === only)) {
    throw new Error(`CADRE_BENCH_BASE: expected ${BASES.join(" or ")}, got "${only}"`);
  }
  const folder = await mkdtemp(join(tmpdir(), "cadre-bench-"));
  const runs: BaseRun[] = [];
  try {
    for (const base of BASES.filter((name) => only === undefined || name === only)) {
      const written = await writeBenchLibrary(join(folder, base), {
        base,
        experts: sizes.experts,
        whole: sizes.whole[base],
        smoke,
      });
      const questions = questionsOf(sizes.questions);
      const cadre = await openCadre(written.library, { threads });
      let own: Omit<BaseRun, "base" | "threads" | "transformers">;
      try {
        own = await benchCadre(cadre, { ...written, questions, sizes });
      } finally {
        await cadre.close();
      }
      const transformers = await runTransformers(written.base, {
        ...{ modelFolder: join(folder, base, "onnx"), threads, questions },
        ...{ newTokens: sizes.newTokens, concurrency: sizes.concurrency, rounds: sizes.rounds },
      });
      const run = { base, threads, ...own, transformers };
      runs.push(run);
      if (!json) console.log(`${describe(run).join("\n")}\n`);
    }
    if (json) console.log(JSON.stringify({ runs }, null, 2));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Short messages to a bank with their choices. */
function questionsOf(count: number): Question[] {
  const { test } = generatedUserTask(findGeneratedTask("intent/bank-chat"), {
    ...{ seed: 2, train: 0, validation: 0, test: count },
  }).splits;
  return test.map(({ input, choices = [] }) => ({ input, choices }));
}

async function benchCadre(
  cadre: Cadre,
  {
    experts,
    whole,
    questions,
    sizes,
  }: {
    readonly experts: readonly string[];
    readonly whole: readonly string[];
    readonly questions: readonly Question[];
    readonly sizes: Sizes;
  },
): Promise<Omit<BaseRun, "base" | "threads" | "transformers">> {
  const first = at(experts, 0);
  const classifyWith = (expert: string) => (question: Question) =>
    cadre.classify(question.input, {
      choices: question.choices,
      experts: expert === "base" ? expert : slightly(expert),
    });
  const classify = {
    one: await latency(questions, classifyWith(first)),
    base: await latency(questions, classifyWith("base")),
  };
  const generate: BaseRun["generate"][number][] = [];
  for (const concurrent of sizes.concurrency) {
    const rounds = await repeated(sizes.rounds, () =>
      generateTogether(cadre, { questions, concurrent, sizes, experts: [] }),
    );
    generate.push({
      concurrent,
      tokensPerSecond: Math.max(...rounds.map(({ result, seconds }) => result / seconds)),
      cpuPerToken: Math.min(...rounds.map(({ result, cpuSeconds }) => (1000 * cpuSeconds) / result)),
    });
  }
  const concurrent = Math.max(...sizes.concurrency);
  const classifyShare = await compare(experts, sizes.rounds, (own) =>
    classifyTogether(cadre, { questions, concurrent, experts: own.map(slightly) }),
  );
  const generateShare = await compare(experts, sizes.rounds, (own) =>
    generateTogether(cadre, { questions, concurrent, sizes, experts: own }),
  );
  const wholeShare = await compare(whole, sizes.rounds, (own) =>
    classifyTogether(cadre, { questions, concurrent, experts: own }),
  );
  return { classify, generate, classifyShare, generateShare, wholeShare };
}

/** So little of an expert that its random numbers end no answer before the base would. */
function slightly(expert: string): WeightedExpert[] {
  return [{ id: expert, weight: 1e-3 }];
}

/** One after the other; the programs that the questions need are compiled before. */
async function latency(
  questions: readonly Question[],
  ask: (question: Question) => Promise<unknown>,
): Promise<Latency> {
  for (const question of questions) await ask(question);
  const times: number[] = [];
  const { cpuSeconds } = await measured(async () => {
    for (const question of questions) times.push((await measured(() => ask(question))).seconds);
  });
  return {
    p50: 1000 * quantile(times, 0.5),
    p95: 1000 * quantile(times, 0.95),
    cpu: (1000 * cpuSeconds) / questions.length,
  };
}

/** All questions with so many in flight: whoever has an answer asks the next. @returns how many there were */
async function classifyTogether(
  cadre: Cadre,
  options: {
    readonly questions: readonly Question[];
    readonly concurrent: number;
    readonly experts: readonly ExpertSelection[];
  },
): Promise<number> {
  const { questions, concurrent, experts } = options;
  let next = 0;
  const total = Math.max(questions.length, 4 * concurrent);
  const askOn = async (): Promise<void> => {
    while (next < total) {
      const index = next++;
      const { input, choices } = at(questions, index % questions.length);
      await cadre.classify(input, { choices, experts: at(experts, index % experts.length) });
    }
  };
  await Promise.all(Array.from({ length: concurrent }, askOn));
  return total;
}

/** So many answers at once, of experts in turn or, without any, of the base. @returns their tokens */
async function generateTogether(
  cadre: Cadre,
  options: {
    readonly questions: readonly Question[];
    readonly concurrent: number;
    readonly sizes: Sizes;
    readonly experts: readonly string[];
  },
): Promise<number> {
  const { questions, concurrent, sizes, experts } = options;
  const answers = await Promise.all(
    Array.from({ length: concurrent }, (_, index) =>
      cadre.generate(at(questions, index % questions.length).input, {
        experts: experts.length === 0 ? "base" : slightly(at(experts, index % experts.length)),
        maxTokens: sizes.newTokens,
      }),
    ),
  );
  return answers.reduce((sum, { outputs }) => sum + at(outputs, 0).tokenCount, 0);
}

/** Measures after a first time that compiles what is needed. */
async function repeated<Result>(
  rounds: number,
  work: () => Promise<Result>,
): Promise<(Cost & { readonly result: Result })[]> {
  await work();
  const all: (Cost & { readonly result: Result })[] = [];
  for (let round = 0; round < rounds; round++) all.push(await measured(work));
  return all;
}

/** One expert and all of them by turns, so that both meet the same disturbances; medians. */
async function compare(
  experts: readonly string[],
  rounds: number,
  work: (experts: readonly string[]) => Promise<number>,
): Promise<Share> {
  const one = experts.slice(0, 1);
  for (const own of [experts, one, experts]) await work(own);
  const pairs: { readonly one: Cost & { result: number }; readonly many: Cost & { result: number } }[] = [];
  for (let round = 0; round < rounds; round++) {
    pairs.push({ one: await measured(() => work(one)), many: await measured(() => work(experts)) });
  }
  const median = (value: (pair: (typeof pairs)[number]) => number): number => quantile(pairs.map(value), 0.5);
  const onePerSecond = median((pair) => pair.one.result / pair.one.seconds);
  const manyPerSecond = median((pair) => pair.many.result / pair.many.seconds);
  const cpuOf = (cost: Cost & { result: number }): number => cost.cpuSeconds / cost.result;
  return {
    onePerSecond,
    manyPerSecond,
    share: manyPerSecond / onePerSecond,
    oneCpu: 1000 * median((pair) => cpuOf(pair.one)),
    cpuShare: median((pair) => cpuOf(pair.one) / cpuOf(pair.many)),
  };
}

/** Exports the base and runs `@huggingface/transformers` in a process of its own, where both are there. */
async function runTransformers(
  base: string,
  options: Omit<TransformersRunOptions, "packageFolder">,
): Promise<BaseRun["transformers"]> {
  const { CADRE_BENCH_TRANSFORMERS: packageFolder, CADRE_BENCH_PYTHON: python } = process.env;
  if (packageFolder === undefined || python === undefined) {
    return { absent: "set CADRE_BENCH_TRANSFORMERS and CADRE_BENCH_PYTHON to compare (see bench/generate.ts)" };
  }
  const run = promisify(execFile);
  // Commands of the project run in its root.
  await run(python, [join("tools", "parity", "export_onnx.py"), base, options.modelFolder]);
  const script = fileURLToPath(new URL("./generate-transformers.js", import.meta.url));
  const asked: TransformersRunOptions = { ...options, packageFolder };
  const { stdout } = await run(process.execPath, [script, JSON.stringify(asked)]);
  // Parse boundary: the last line of our own script.
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as TransformersRun;
}

function describe({
  base,
  threads,
  classify,
  generate,
  classifyShare,
  generateShare,
  wholeShare,
  transformers,
}: BaseRun): string[] {
  const other = "absent" in transformers ? undefined : transformers;
  const milliseconds = (name: string, { p50, p95, cpu }: Latency): string =>
    `${name.padEnd(46)} p50 ${p50.toFixed(1)} ms, p95 ${p95.toFixed(1)} ms, processor ${cpu.toFixed(1)} ms`;
  const shareOf = (name: string, unit: string, one: Share): string =>
    `${name.padEnd(46)} ${one.onePerSecond.toFixed(0)} and ${one.manyPerSecond.toFixed(0)} ${unit}/s: ${(100 * one.share).toFixed(0)} %, by processor time (${one.oneCpu.toFixed(2)} ms) ${(100 * one.cpuShare).toFixed(0)} %`;
  const tokens = (name: string, one: BaseRun["generate"][number]): string =>
    `${`${name}, ${one.concurrent} at once`.padEnd(46)} ${one.tokensPerSecond.toFixed(0)} tokens/s, processor ${one.cpuPerToken.toFixed(2)} ms a token`;
  return [
    `${base}, ${threads} threads`,
    milliseconds("classify, one expert", classify.one),
    milliseconds("classify, base", classify.base),
    ...(other === undefined ? [] : [milliseconds(`  @huggingface/transformers ${other.version}`, other.classify)]),
    ...generate.flatMap((one, index) => [
      tokens("generate, base", one),
      ...(other === undefined ? [] : [tokens("  @huggingface/transformers", at(other.generate, index))]),
    ]),
    shareOf("classify, one expert and all in flight", "answers", classifyShare),
    shareOf("generate, one expert and all in flight", "tokens", generateShare),
    shareOf("classify, one and all experts of all weights", "answers", wholeShare),
    ...("absent" in transformers ? [`@huggingface/transformers: ${transformers.absent}`] : []),
  ];
}
