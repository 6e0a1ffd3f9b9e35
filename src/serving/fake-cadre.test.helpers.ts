import type {
  AnswerRouting,
  AnswerToken,
  AskOptions,
  Cadre,
  ExpertSelection,
  ExpertSummary,
  FinishReason,
  GeneratedText,
  GenerateTextOptions,
  TextPart,
} from "../cadre/cadre.js";
import { CadreError, throwIfAborted } from "../core/errors.js";

/** How a {@link FakeCadre} behaves. */
export interface FakeCadreOptions {
  /** Tokens of every input that routing and embedding leave out; default none. */
  readonly tokensCut?: number;
  /** Milliseconds before each token. */
  readonly tokenDelay?: number;
  /** Default `cadre-mini`. */
  readonly base?: string;
  /** Experts that only `refresh` shows. */
  readonly added?: readonly ExpertSummary[];
  /** What `refresh` fails with. */
  readonly unreadable?: Error;
  /** What every call fails with. */
  readonly failure?: Error;
  /** What an answer fails with after its first token. */
  readonly laterFailure?: Error;
}

/** A call that a fake cadre got. */
export interface FakeCall {
  readonly method: "classify" | "generate" | "stream" | "embed";
  readonly input: string;
  readonly options: GenerateTextOptions;
}

/** A cadre without a model: it answers with the words of the input, one a token. */
export interface FakeCadre extends Cadre {
  readonly calls: readonly FakeCall[];
  /** Answers that saw their signal abort or were left by their reader. */
  readonly stopped: number;
  /** Answers that are being made. */
  readonly running: number;
  readonly refreshes: number;
  /** Every call fails so until the next `refresh`, which then shows these experts. */
  becomeStale(failure: Error, experts?: readonly ExpertSummary[]): void;
}

export const TICKETS: ExpertSummary = {
  id: "tickets-0a1b2c3d",
  name: "tickets",
  role: "expert",
  kind: "lora",
  task: "tickets",
  choices: ["billing", "technical"],
  routable: true,
  created: "2026-11-20T12:00:00.000Z",
};
export const TITLES: ExpertSummary = {
  id: "book-titles-4e5f6a7b",
  name: "book titles: short",
  role: "expert",
  kind: "lora",
  task: "titles",
  routable: true,
  created: "2026-11-21T12:00:00.000Z",
};

export function createFakeCadre(options: FakeCadreOptions = {}): FakeCadre {
  const { base = "cadre-mini", tokensCut = 0, tokenDelay = 0, added = [], unreadable, failure, laterFailure } = options;
  let experts: readonly ExpertSummary[] = [TICKETS, TITLES];
  let stale: { readonly failure: Error; readonly experts: readonly ExpertSummary[] } | undefined;
  let isClosed = false;
  const counts = { stopped: 0, running: 0, refreshes: 0 };
  const calls: FakeCall[] = [];

  const begin = (call: FakeCall): void => {
    calls.push(call);
    if (isClosed) throw closedError();
    if (failure !== undefined) throw failure;
    if (stale !== undefined) throw stale.failure;
    throwIfAborted(call.options.signal);
  };
  const routing = (selection: ExpertSelection = "auto"): AnswerRouting => {
    const { id, name } = experts.find((expert) => expert.id === selection) ?? TICKETS;
    return selection === "base"
      ? { by: "base", experts: [], ranking: [], trace: [] }
      : {
          by: selection === "auto" ? "auto" : "request",
          experts: [{ id, name, weight: 1 }],
          ranking: selection === "auto" ? [{ id, votes: 3 }] : [],
          trace: selection === "auto" ? [{ query: 0, nearest: [{ expert: id, key: 7, score: 0.5 }] }] : [],
          ...(tokensCut > 0 ? { inputTokensCut: tokensCut } : {}),
        };
  };
  const answered = (input: string, asked: AskOptions) => ({
    routing: routing(asked.experts),
    inputTokens: wordsOf(input).length + 1,
    inputTokensCut: 0,
  });

  async function* sampleParts(input: string, asked: GenerateTextOptions, sample: number): AsyncGenerator<TextPart> {
    const { maxTokens = 64, stop = [], logProbabilities, signal, seed } = asked;
    const made: AnswerToken[] = [];
    const part = (texts: readonly AnswerToken[], finish?: FinishReason): TextPart => ({
      text: texts.map(({ text }) => text).join(""),
      sample,
      ...(logProbabilities === undefined ? {} : { tokens: texts }),
      tokenCount: made.length + (finish === "end" ? 1 : 0),
      ...(finish === undefined ? {} : { finish }),
      answered: answered(input, asked),
    });
    const words = [
      ...wordsOf(input),
      ...(seed === undefined ? [] : [` ${seed}`]),
      ...(sample > 0 ? [` #${sample}`] : []),
    ];
    for (const text of words) {
      if (made.length === maxTokens) return yield part([], "length");
      await pause(tokenDelay, signal);
      if (laterFailure !== undefined && made.length > 0) throw laterFailure;
      const token = tokenOf(text, logProbabilities ?? 0);
      made.push(token);
      if (stop.includes(text.trim())) return yield part([], "stop");
      yield part([token]);
    }
    yield part([], "end");
  }

  async function* stream(input: string, asked: GenerateTextOptions = {}): AsyncGenerator<TextPart, void, undefined> {
    begin({ method: "stream", input, options: asked });
    counts.running += 1;
    let isFinished = false;
    try {
      for (let sample = 0; sample < (asked.samples ?? 1); sample += 1) yield* sampleParts(input, asked, sample);
      isFinished = true;
    } finally {
      counts.running -= 1;
      if (!isFinished) counts.stopped += 1;
    }
  }

  const generate = async (input: string, asked: GenerateTextOptions = {}) => {
    const outputs: GeneratedText[] = [];
    for await (const part of stream(input, asked)) {
      const before = outputs[part.sample];
      const tokens = [...(before?.tokens ?? []), ...(part.tokens ?? [])];
      outputs[part.sample] = {
        text: (before?.text ?? "") + part.text,
        finish: part.finish ?? "end",
        tokenCount: part.tokenCount,
        logProbability: -part.tokenCount,
        ...(part.tokens === undefined ? {} : { tokens }),
      };
    }
    return { ...answered(input, asked), text: outputs[0]?.text ?? "", outputs };
  };

  return {
    base,
    get experts() {
      return experts;
    },
    calls,
    get stopped() {
      return counts.stopped;
    },
    get running() {
      return counts.running;
    },
    get refreshes() {
      return counts.refreshes;
    },
    becomeStale: (failure, after = experts) => {
      stale = { failure, experts: after };
    },
    classify: async (input, asked = {}) => {
      begin({ method: "classify", input, options: asked });
      const choices = asked.choices ?? TICKETS.choices ?? [];
      await pause(tokenDelay, asked.signal);
      const scores = choices.map((choice, index) => ({
        choice,
        logProbability: -1 - index,
        probability: 1 / choices.length,
      }));
      return { ...answered(input, asked), choice: choices[0] ?? "", scores };
    },
    generate,
    stream,
    route: async (_, asked = {}) => {
      if (isClosed) throw closedError();
      if (failure !== undefined) throw failure;
      return routing(asked.experts);
    },
    embed: async (texts, asked = {}) => {
      begin({ method: "embed", input: texts.join("|"), options: asked });
      return {
        vectors: texts.map((text) => Float32Array.of(0.6, -0.8, text.length)),
        width: 3,
        inputTokens: texts.reduce((sum, text) => sum + wordsOf(text).length, 0),
        ...(tokensCut > 0 ? { inputTokensCut: texts.map(() => tokensCut) } : {}),
      };
    },
    refresh: async () => {
      counts.refreshes += 1;
      if (isClosed) throw closedError();
      if (unreadable !== undefined) throw unreadable;
      experts = stale?.experts ?? [...new Set([...experts, ...added])];
      stale = undefined;
    },
    close: async () => {
      isClosed = true;
    },
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
    },
  };
}

function closedError(): CadreError {
  return new CadreError("closed", "the cadre is closed; open it again");
}

/** Waits, and rejects at once when the signal fires. */
function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(new CadreError("aborted", "the work was aborted", { cause: signal?.reason }));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** The words of a text, with the space before each. */
function wordsOf(text: string): readonly string[] {
  return text.match(/\s*\S+/gu) ?? [];
}

function tokenOf(text: string, listed: number): AnswerToken {
  const others = Array.from({ length: listed }, (_, index) => ({
    text: `${text}-${index}`,
    logProbability: -2 - index,
  }));
  return { text, logProbability: -1, top: others };
}
