import type { FinishReason, GeneratedText, GenerateTextOptions, Generation, TextPart } from "../cadre/cadre.js";
import { answeredJson, usageJson } from "./answer-json.js";
import { type CompletionBody, completionBody, DEFAULT_TOKENS } from "./completion-body.js";
import { type Endpoint, type EndpointContext, openAnswerScope } from "./endpoint.js";
import { eventStream } from "./event-stream.js";
import { present } from "./fields.js";
import type { ServingLimits } from "./limits.js";
import { countCharacters, logprobsJson } from "./logprobs.js";
import { mergeStreams } from "./merge-streams.js";
import type { ServedModel } from "./models.js";
import { Refusal } from "./problem.js";
import { readBody } from "./read-body.js";
import { streamModel } from "./stream-model.js";

/** What all of a completion's objects begin with. */
interface CompletionHead {
  readonly id: string;
  readonly object: "text_completion";
  /** Unix time in seconds. */
  readonly created: number;
  readonly model: string;
}

const FINISH_REASONS: Readonly<Record<FinishReason, "stop" | "length">> = {
  end: "stop",
  stop: "stop",
  length: "length",
};

/** `POST /v1/completions`: text after each of the prompts, `n` times; choice `prompt * n + sample` is a prompt's sample. */
export function createCompletions({ cadre, models, limits }: EndpointContext): Endpoint {
  const format = completionBody(limits);
  return async (request, fail) => {
    const body = await readBody(request, format, limits);
    checkCount(body, limits);
    const scope = openAnswerScope(request, limits);
    // A stream ends its scope itself.
    let isStreamed = false;
    try {
      const model = await scope.run(models.find(body.model));
      const head: CompletionHead = {
        id: `cmpl-${crypto.randomUUID()}`,
        object: "text_completion",
        created: Math.floor(Date.now() / 1000),
        model: model.id,
      };
      const asked = generateOptions(body, limits);
      const options = ({ experts }: ServedModel): GenerateTextOptions => ({
        ...asked,
        experts,
        signal: scope.signalOfOne(),
      });
      if (body.stream === true) {
        const streams = body.prompt.map((prompt) =>
          streamModel(models, model.id, (found) => cadre.stream(prompt, options(found))),
        );
        const response = await eventStream(completionChunks(streams, { head, body }), { scope, fail });
        isStreamed = true;
        return response;
      }
      const answers = Promise.all(
        body.prompt.map((prompt) => models.ask(model.id, (found) => cadre.generate(prompt, options(found)))),
      );
      return Response.json({ ...head, ...completionJson(await scope.run(answers)) });
    } finally {
      if (!isStreamed) scope[Symbol.dispose]();
    }
  };
}

function checkCount({ prompt, n }: CompletionBody, { inputs }: ServingLimits): void {
  const answers = prompt.length * (n ?? 1);
  if (answers > inputs) {
    throw new Refusal({
      status: 400,
      message: `n: expected at most ${inputs} prompts times n (the limit inputs), found ${answers}`,
      code: "invalid_body",
      param: "n",
    });
  }
}

function generateOptions(body: CompletionBody, limits: ServingLimits): GenerateTextOptions {
  return {
    maxTokens: body.max_tokens ?? Math.min(DEFAULT_TOKENS, limits.tokens),
    ...present({
      temperature: body.temperature,
      topK: body.top_k,
      topP: body.top_p,
      minP: body.min_p,
      repetitionPenalty: body.repetition_penalty,
      samples: body.n,
      stop: body.stop,
      // Seeds of other servers have 64 bits and a sign.
      seed: typeof body.seed === "number" ? body.seed >>> 0 : undefined,
      logProbabilities: body.logprobs,
    }),
  };
}

function completionJson(generations: readonly Generation[]) {
  const outputs = generations.flatMap((generation) => generation.outputs.map((output) => ({ generation, output })));
  const promptTokens = generations.reduce((sum, { inputTokens }) => sum + inputTokens, 0);
  const completionTokens = outputs.reduce((sum, { output }) => sum + output.tokenCount, 0);
  return {
    choices: outputs.map(({ generation, output }, index) => ({
      index,
      ...choiceJson(output),
      ...answeredJson(generation),
    })),
    usage: usageJson(promptTokens, completionTokens),
  };
}

function choiceJson({ text, tokens, finish }: GeneratedText) {
  return {
    text,
    logprobs: tokens === undefined ? null : logprobsJson(tokens),
    finish_reason: FINISH_REASONS[finish],
  };
}

async function* completionChunks(
  streams: readonly AsyncGenerator<TextPart, void, undefined>[],
  { head, body }: { readonly head: CompletionHead; readonly body: CompletionBody },
): AsyncGenerator<object, void, undefined> {
  const withUsage = body.stream_options?.include_usage === true;
  const promptTokens = new Map<number, number>();
  const progress = new Map<number, { readonly characters: number; readonly tokens: number }>();
  for await (const { stream, value: part } of mergeStreams(streams)) {
    const index = stream * (body.n ?? 1) + part.sample;
    const before = progress.get(index);
    const offset = before?.characters ?? 0;
    const partTokens = part.tokens ?? [];
    const characters = partTokens.reduce((sum, { text }) => sum + countCharacters(text), offset);
    progress.set(index, { characters, tokens: part.tokenCount });
    promptTokens.set(stream, part.answered.inputTokens);
    const choice = {
      index,
      text: part.text,
      logprobs: part.tokens === undefined ? null : logprobsJson(part.tokens, offset),
      finish_reason: part.finish === undefined ? null : FINISH_REASONS[part.finish],
      // Who answers is the same in every part.
      ...(before === undefined ? answeredJson(part.answered) : {}),
    };
    yield { ...head, choices: [choice], ...(withUsage ? { usage: null } : {}) };
  }
  if (withUsage) {
    const prompts = [...promptTokens.values()].reduce((sum, tokens) => sum + tokens, 0);
    const made = [...progress.values()].reduce((sum, { tokens }) => sum + tokens, 0);
    yield { ...head, choices: [], usage: usageJson(prompts, made) };
  }
}
