import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { measured, quantile } from "./measure.js";

/** What `bench/generate.ts` asks of the child process that runs `@huggingface/transformers`. */
export interface TransformersRunOptions {
  /** Folder whose `node_modules` have `@huggingface/transformers`. */
  readonly packageFolder: string;
  /** What `tools/parity/export_onnx.py` wrote. */
  readonly modelFolder: string;
  readonly threads: number;
  readonly newTokens: number;
  readonly concurrency: readonly number[];
  readonly rounds: number;
  readonly questions: readonly { readonly input: string; readonly choices: readonly string[] }[];
}

/** The same measures as of Cadre. */
export interface TransformersRun {
  readonly version: string;
  readonly classify: { readonly p50: number; readonly p95: number; readonly cpu: number };
  readonly generate: readonly {
    readonly concurrent: number;
    readonly tokensPerSecond: number;
    readonly cpuPerToken: number;
  }[];
}

/** What is used of the package, which is not installed where types are checked. */
interface TensorLike {
  readonly dims: readonly number[];
  readonly data: ArrayLike<number | bigint>;
}
interface Encoded {
  readonly input_ids: TensorLike;
  readonly attention_mask: TensorLike;
}
interface TransformersPackage {
  readonly env: { allowRemoteModels: boolean; readonly version: string };
  readonly AutoTokenizer: {
    from_pretrained(folder: string): Promise<(texts: readonly string[], options: object) => Encoded>;
  };
  readonly AutoModelForSeq2SeqLM: {
    from_pretrained(
      folder: string,
      options: object,
    ): Promise<
      ((inputs: object) => Promise<{ readonly logits: TensorLike }>) & {
        generate(options: object): Promise<TensorLike>;
      }
    >;
  };
}

/** Runs in a process of its own: the package brings a second copy of ONNX Runtime. */
async function run(options: TransformersRunOptions): Promise<TransformersRun> {
  const entry = createRequire(join(options.packageFolder, "package.json")).resolve("@huggingface/transformers");
  // Parse boundary: only what the interface names is used.
  const { env, AutoTokenizer, AutoModelForSeq2SeqLM } = (await import(
    pathToFileURL(entry).href
  )) as TransformersPackage;
  env.allowRemoteModels = false;
  const tokenizer = await AutoTokenizer.from_pretrained(options.modelFolder);
  const model = await AutoModelForSeq2SeqLM.from_pretrained(options.modelFolder, {
    ...{ dtype: "fp32", device: "cpu" },
    session_options: { intraOpNumThreads: options.threads },
  });
  /** It has no scoring of choices: every choice is a row of one batch, beside its input. */
  const classify = async ({ input, choices }: TransformersRunOptions["questions"][number]): Promise<void> => {
    const inputs = tokenizer(
      choices.map(() => input),
      { padding: true },
    );
    const targets = tokenizer(choices, { padding: true });
    const { logits } = await model({ ...inputs, decoder_input_ids: targets.input_ids });
    sumLogProbabilities(logits, targets.input_ids);
  };
  for (const question of options.questions) await classify(question);
  const times: number[] = [];
  const all = await measured(async () => {
    for (const question of options.questions) times.push((await measured(() => classify(question))).seconds);
  });
  const generate: TransformersRun["generate"][number][] = [];
  for (const concurrent of options.concurrency) {
    const texts = Array.from(
      { length: concurrent },
      (_, index) => options.questions[index % options.questions.length]?.input ?? "",
    );
    const once = async (): Promise<number> => {
      const { dims, data } = await model.generate({
        ...tokenizer(texts, { padding: true }),
        ...{ max_new_tokens: options.newTokens, do_sample: false },
      });
      return countTokens(dims, data);
    };
    await once();
    const rounds: { readonly tokens: number; readonly seconds: number; readonly cpuSeconds: number }[] = [];
    for (let round = 0; round < options.rounds; round++) {
      const { result, seconds, cpuSeconds } = await measured(once);
      rounds.push({ tokens: result, seconds, cpuSeconds });
    }
    generate.push({
      concurrent,
      tokensPerSecond: Math.max(...rounds.map(({ tokens, seconds }) => tokens / seconds)),
      cpuPerToken: Math.min(...rounds.map(({ tokens, cpuSeconds }) => (1000 * cpuSeconds) / tokens)),
    });
  }
  return {
    version: env.version,
    classify: {
      p50: 1000 * quantile(times, 0.5),
      p95: 1000 * quantile(times, 0.95),
      cpu: (1000 * all.cpuSeconds) / options.questions.length,
    },
    generate,
  };
}

/** `[rows, length]` with the start token in front; what follows a row's end token is padding. */
function countTokens([rows = 0, length = 0]: readonly number[], data: ArrayLike<number | bigint>): number {
  const end = 1;
  let count = 0;
  for (let row = 0; row < rows; row++) {
    for (let place = 1; place < length; place++) {
      count++;
      if (Number(data[row * length + place]) === end) break;
    }
  }
  return count;
}

function sumLogProbabilities({ dims, data }: TensorLike, targets: TensorLike): number[] {
  const [rows = 0, length = 0, pieces = 0] = dims;
  return Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (let place = 0; place < length; place++) {
      const start = (row * length + place) * pieces;
      let total = 0;
      for (let piece = 0; piece < pieces; piece++) total += Math.exp(Number(data[start + piece]));
      sum += Number(data[start + Number(targets.data[row * length + place])]) - Math.log(total);
    }
    return sum;
  });
}

// Parse boundary: only `generate.ts` starts this file.
const options = JSON.parse(process.argv[2] ?? "{}") as TransformersRunOptions;
console.log(JSON.stringify(await run(options)));
