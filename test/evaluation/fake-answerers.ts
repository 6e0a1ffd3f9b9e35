import type { AnswererFactory } from "../../src/evaluation/answerer.js";
import type { Cell } from "../../src/evaluation/results-schema.js";
import type { CellKey, ResultsStore } from "../../src/evaluation/results-store.js";
import type { EvaluationTask } from "../../src/evaluation/results-task.js";
import type { TrainedSystem } from "../../src/evaluation/trained-system.js";
import type { DeltaConfig } from "../../src/experts/delta-config.js";
import type { EncodedExample } from "../../src/mixtures/encoded-example.js";
import type { Device } from "../../src/runtime/device.js";
import type { Tensor } from "../../src/tensors/tensor.js";
import type { Tokenizer } from "../../src/tokenizers/tokenizer.js";
import { randomExpert } from "../experts/tiny-experts.js";
import { tinyModel } from "../training/tiny-training.js";

/** What a fake sees of a row. */
export interface FakeQuestion {
  /** Who answers; `full` with other weights than the base's, `merged` with tensors that nobody has. */
  readonly system: string;
  readonly input: string;
  readonly choices: readonly string[];
}

/** How fakes answer. */
export interface FakeAnswers {
  /** The base's. */
  readonly weights: ReadonlyMap<string, Tensor>;
  readonly tokenizer: Tokenizer;
  /** Whose tensors are whose. */
  readonly systems: ReadonlyMap<unknown, string>;
  readonly score?: (question: FakeQuestion) => readonly number[];
  readonly write?: (question: FakeQuestion) => string;
}

/** Fakes instead of models; `calls` holds for each call the systems that it answered for, and its inputs. */
export function fakeFactory({ weights, tokenizer, systems, score, write }: FakeAnswers): AnswererFactory & {
  readonly calls: { readonly system: string; readonly inputs: readonly string[] }[];
} {
  const calls: { system: string; inputs: string[] }[] = [];
  const questionOf = (
    { input, targets = [] }: Partial<EncodedExample> & Pick<EncodedExample, "input">,
    own: unknown,
    deltaTensors: unknown,
  ): FakeQuestion => ({
    system: deltaTensors === undefined ? (own === weights ? "base" : "full") : (systems.get(deltaTensors) ?? "merged"),
    input: tokenizer.decode(input),
    choices: targets.map((target) => tokenizer.decode(target)),
  });
  const note = (questions: readonly FakeQuestion[]): void => {
    const systems = new Set(questions.map(({ system }) => system));
    calls.push({ system: [...systems].join(), inputs: questions.map(({ input }) => input) });
  };
  const close = async (): Promise<void> => {};
  return {
    calls,
    createScorer: (options) => ({
      score: async (rows, { deltaTensors } = {}) => {
        const questions = rows.map((example) => questionOf(example, options.weights, deltaTensors));
        note(questions);
        return {
          scores: questions.map((question) => Float64Array.from(score?.(question) ?? [])),
          truncatedExamples: rows.filter(({ input }) => input.length > (options.inputLength ?? 512)).length,
          inputTokensCut: 0,
        };
      },
      close,
      [Symbol.asyncDispose]: close,
    }),
    createGenerator: (options) => ({
      generate: async (rows, { deltaTensors } = {}) => {
        const questions = rows.map(({ input }) => questionOf({ input }, options.weights, deltaTensors));
        note(questions);
        return questions.map((question, row) => {
          const ids = tokenizer.encode(write?.(question) ?? "");
          return {
            ids,
            logProbabilities: new Float32Array(ids.length),
            finish: "end",
            inputTokensCut: Math.max(0, (rows[row]?.input.length ?? 0) - (options.inputLength ?? 512)),
          };
        });
      },
      stream: () => {
        throw new Error("expected no stream");
      },
      close,
      [Symbol.asyncDispose]: close,
    }),
  };
}

/** A device that nothing may use. */
export const noDevice: Device = {
  kind: "cpu",
  threads: 1,
  compile: () => Promise.reject(new Error("expected no program")),
  createState: () => Promise.reject(new Error("expected no state")),
  memory: () => Promise.reject(new Error("expected no question")),
  close: async () => {},
  [Symbol.asyncDispose]: async () => {},
};

/** A system whose tensors are at hand. */
export interface FakeSystem extends TrainedSystem {
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** The system with other tensors. */
export function withTensors(system: TrainedSystem, tensors: ReadonlyMap<string, Tensor>): FakeSystem {
  return { ...system, tensors, readTensors: async () => tensors };
}

/** An expert of `tinyModel`, by default of the kind LoRA. */
export function fakeExpert(
  id: string,
  task: string,
  delta: DeltaConfig = { kind: "lora", config: { rank: 1, alpha: 1, targets: ["q"] } },
): FakeSystem {
  const { tensors } = randomExpert(id, delta, tinyModel().hookPoints);
  return {
    id,
    task,
    delta,
    tensors,
    readTensors: async () => tensors,
    sha256: Buffer.from(id).toString("hex").padEnd(64, "0").slice(0, 64),
    steps: 10,
    trainingFlops: 1e9,
  };
}

/** Whether an input's row has this target; inputs of all tasks differ. */
export function answerKey(tasks: readonly EvaluationTask[]): (input: string, choice: string) => boolean {
  const targets = new Map(tasks.flatMap(({ rows }) => rows.map((row) => [row.input, row.targets] as const)));
  return (input, choice) => targets.get(input)?.includes(choice) ?? false;
}

/** A store without a disk. */
export function memoryStore(): ResultsStore {
  const cells = new Map<string, Cell>();
  const nameOf = ({ system, systemSha256, task, taskSha256 }: CellKey): string =>
    JSON.stringify([system, systemSha256, task, taskSha256]);
  const find = async (key: CellKey): Promise<Cell | undefined> => cells.get(nameOf(key));
  const keep = async (cell: Cell): Promise<Cell> => {
    cells.set(nameOf(cell), cell);
    return cell;
  };
  return { find, keep, cell: async (key, answer) => (await find(key)) ?? keep({ ...key, ...(await answer()) }) };
}
