import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embed, embedMany, generateText, streamText } from "ai";
import OpenAI, { type APIError, APIUserAbortError, AuthenticationError, BadRequestError, NotFoundError } from "openai";
import { describe, expect, onTestFinished, test } from "vitest";
import { CadreError } from "../../core/errors.js";
import { until } from "../ask.test.helpers.js";
import { createFakeCadre, type FakeCadreOptions, TICKETS } from "../fake-cadre.test.helpers.js";
import { type ListenOptions, listen } from "./listen.js";

const KEY = "a-key-for-tests";
const LONG = "word ".repeat(300);

/** A server on a free port with the clients that people have. */
async function serve(fake: FakeCadreOptions = {}, options: ListenOptions = {}) {
  const cadre = createFakeCadre(fake);
  const server = await listen(cadre, { port: 0, apiKey: KEY, ...options });
  onTestFinished(() => server.close(0));
  const baseURL = `${server.url}/v1`;
  return {
    cadre,
    openai: new OpenAI({ baseURL, apiKey: KEY, maxRetries: 0 }),
    provider: createOpenAICompatible({ name: "cadre", baseURL, apiKey: KEY, includeUsage: true }),
    baseURL,
  };
}

describe("the openai client", () => {
  test("completes with n, logprobs, stop, seed and usage", async () => {
    const { openai } = await serve();
    const completion = await openai.completions.create({
      model: "auto",
      prompt: "one two three stop four",
      n: 2,
      logprobs: 2,
      stop: ["stop"],
      seed: 7,
      max_tokens: 30,
      temperature: 0.3,
      top_p: 0.8,
      user: "u-1",
    });
    expect(completion.model).toBe("cadre-mini:auto");
    expect(completion.choices.map(({ text, finish_reason }) => [text, finish_reason])).toEqual([
      ["one two three", "stop"],
      ["one two three", "stop"],
    ]);
    expect(completion.choices[0]?.logprobs?.tokens).toEqual(["one", " two", " three"]);
    expect(completion.choices[0]?.logprobs?.top_logprobs?.[0]).toEqual({ one: -1, "one-0": -2, "one-1": -3 });
    expect(completion.usage).toEqual({ prompt_tokens: 6, completion_tokens: 8, total_tokens: 14 });
  });

  test("streams", async () => {
    const { openai } = await serve({ tokenDelay: 2 });
    const stream = await openai.completions.create({
      model: `cadre-mini:${TICKETS.id}`,
      prompt: "one two three",
      stream: true,
      stream_options: { include_usage: true },
    });
    const texts: string[] = [];
    const reasons: string[] = [];
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      texts.push(...chunk.choices.map(({ text }) => text));
      reasons.push(...chunk.choices.map(({ finish_reason }) => finish_reason).filter((reason) => reason !== null));
      usage = chunk.usage;
    }
    expect(texts).toEqual(["one", " two", " three", ""]);
    expect(reasons).toEqual(["stop"]);
    expect(usage).toEqual({ prompt_tokens: 4, completion_tokens: 4, total_tokens: 8 });
  });

  test("leaving a stream, or aborting it, stops the answer", async () => {
    const { openai, cadre } = await serve({ tokenDelay: 10 });
    for await (const _ of await openai.completions.create({ model: "auto", prompt: LONG, stream: true })) break;
    await until(() => cadre.stopped === 1);
    const client = new AbortController();
    const body = { model: "auto", prompt: LONG, max_tokens: 300, stream: true } as const;
    const stream = await openai.completions.create(body, { signal: client.signal });
    setTimeout(() => client.abort(), 50);
    let parts = 0;
    for await (const _ of stream) parts += 1;
    expect(parts).toBeLessThan(100);
    await until(() => cadre.stopped === 2);
    expect(cadre.running).toBe(0);
  });

  test("aborting an answer that is not streamed stops it", async () => {
    const { openai, cadre } = await serve({ tokenDelay: 10 });
    const client = new AbortController();
    const answer = openai.completions.create({ model: "auto", prompt: LONG, n: 2 }, { signal: client.signal });
    await until(() => cadre.running === 1);
    client.abort();
    await expect(answer).rejects.toBeInstanceOf(APIUserAbortError);
    await until(() => cadre.running === 0);
    expect(cadre.stopped).toBe(1);
  });

  test("embeds, asking for base64 by itself", async () => {
    const { openai, cadre } = await serve();
    const input = ["a b", "longer"];
    const { data, usage } = await openai.embeddings.create({ model: "base", input });
    expect(data.map(({ embedding }) => embedding)).toEqual([
      [Math.fround(0.6), Math.fround(-0.8), 3],
      [Math.fround(0.6), Math.fround(-0.8), 6],
    ]);
    const floats = await openai.embeddings.create({ model: "base", input, encoding_format: "float" });
    expect(floats.data.map(({ embedding }) => embedding)).toEqual(data.map(({ embedding }) => embedding));
    expect(usage).toEqual({ prompt_tokens: 3, total_tokens: 3 });
    expect(cadre.calls[0]?.input).toBe("a b|longer");
  });

  test("lists and retrieves models", async () => {
    const { openai } = await serve();
    const ids: string[] = [];
    for await (const { id } of openai.models.list()) ids.push(id);
    expect(ids).toContain(`cadre-mini:${TICKETS.id}`);
    expect((await openai.models.retrieve("cadre-mini:auto")).id).toBe("cadre-mini:auto");
  });

  test("throws its own errors for ours", async () => {
    const { openai, baseURL } = await serve();
    const failed = async (promise: Promise<unknown>): Promise<unknown> =>
      promise.then(
        () => undefined,
        (error: unknown) => error,
      );
    const unknown = await failed(openai.completions.create({ model: "tickts", prompt: "a" }));
    expect(unknown).toBeInstanceOf(NotFoundError);
    expect(unknown).toMatchObject({
      status: 404,
      code: "model_not_found",
      param: "model",
      requestID: expect.any(String),
    });
    expect(String(unknown)).toContain('Did you mean "tickets"?');
    const echo = await failed(openai.completions.create({ model: "auto", prompt: "a", echo: true }));
    expect(echo).toBeInstanceOf(BadRequestError);
    expect(echo).toMatchObject({ param: "echo", code: "unsupported_parameter" });
    const chat = await failed(
      openai.chat.completions.create({ model: "auto", messages: [{ role: "user", content: "a" }] }),
    );
    expect(chat).toBeInstanceOf(BadRequestError);
    expect(String(chat)).toContain("/v1/completions");
    const stranger = new OpenAI({ baseURL, apiKey: "another", maxRetries: 0 });
    expect(await failed(stranger.models.list())).toBeInstanceOf(AuthenticationError);
  });

  test("throws what fails in the middle of a stream", async () => {
    const { openai } = await serve({ laterFailure: new CadreError("engine-lost", "the engine's process died") });
    const stream = await openai.completions.create({ model: "auto", prompt: "one two", stream: true });
    const read = async (): Promise<void> => {
      for await (const _ of stream);
    };
    await expect(read()).rejects.toThrow("the engine's process died");
    await expect(
      openai.completions.create({ model: "auto", prompt: "one two" }).catch((error: APIError) => error.status),
    ).resolves.toBe(503);
  });
});

/** As in docs/serving.md. */
const plainPrompts: typeof fetch = (url, init) => {
  const { prompt, stop, ...body } = JSON.parse(String(init?.body));
  if (prompt === undefined) return fetch(url, init);
  const plain = prompt.replace(/^user:\n/, "").replace(/\n\nassistant:\n$/, "");
  const stops = stop?.filter((text: string) => text !== "\nuser:");
  return fetch(url, { ...init, body: JSON.stringify({ ...body, prompt: plain, stop: stops }) });
};

describe("the AI SDK", () => {
  test("writes prompts as a chat, and a fetch of one's own takes that away", async () => {
    const { cadre, provider, baseURL } = await serve();
    const asked = { prompt: "one two\n\nthree", maxRetries: 0, stopSequences: ["four"] };
    await generateText({ model: provider.completionModel("auto"), ...asked });
    const plain = createOpenAICompatible({ name: "cadre", baseURL, apiKey: KEY, fetch: plainPrompts });
    await generateText({ model: plain.completionModel("auto"), ...asked });
    const { textStream } = streamText({ model: plain.completionModel("auto"), ...asked });
    for await (const _ of textStream);
    expect(cadre.calls.map(({ input, options }) => [input, options.stop])).toEqual([
      ["user:\none two\n\nthree\n\nassistant:\n", ["\nuser:", "four"]],
      ["one two\n\nthree", ["four"]],
      ["one two\n\nthree", ["four"]],
    ]);
    const { embedding } = await embed({ model: plain.embeddingModel("base"), value: "a b", maxRetries: 0 });
    expect(embedding).toHaveLength(3);
  });

  test("embeds many texts in one call", async () => {
    const { cadre, provider } = await serve();
    const values = Array.from({ length: 300 }, (_, index) => `text ${index}`);
    const { embeddings } = await embedMany({ model: provider.embeddingModel("base"), values, maxRetries: 0 });
    expect(embeddings).toHaveLength(300);
    expect(cadre.calls).toHaveLength(1);
  });

  test("generates text", async () => {
    const { provider, cadre } = await serve();
    const { text, usage, finishReason } = await generateText({
      model: provider.completionModel("tickets"),
      prompt: "one two",
      maxOutputTokens: 20,
      temperature: 0.4,
      seed: 3,
      maxRetries: 0,
    });
    expect(text).toContain("one two");
    expect(finishReason).toBe("stop");
    expect(usage.outputTokens).toBeGreaterThan(2);
    expect(cadre.calls[0]?.options).toMatchObject({ experts: TICKETS.id, maxTokens: 20, temperature: 0.4, seed: 3 });
  });

  test("streams text, and stops it", async () => {
    const { provider, cadre } = await serve({ tokenDelay: 10 });
    const model = provider.completionModel("auto");
    const short = streamText({ model, prompt: "one two" });
    let text = "";
    for await (const part of short.textStream) text += part;
    expect(text).toContain("one two");
    expect((await short.usage).inputTokens).toBeGreaterThan(2);
    expect(cadre.stopped).toBe(0);
    const client = new AbortController();
    const long = streamText({ model, prompt: LONG, abortSignal: client.signal });
    for await (const _ of long.textStream) client.abort();
    await until(() => cadre.stopped === 1);
    expect(cadre.running).toBe(0);
  });

  test("embeds", async () => {
    const { provider } = await serve();
    const { embedding } = await embed({ model: provider.embeddingModel("base"), value: "a b", maxRetries: 0 });
    expect(embedding).toEqual([Math.fround(0.6), Math.fround(-0.8), 3]);
  });

  test("reads our errors", async () => {
    const { provider } = await serve();
    const chat = generateText({ model: provider("auto"), prompt: "a", maxRetries: 0 });
    await expect(chat).rejects.toThrow("use POST /v1/completions");
    const unknown = generateText({ model: provider.completionModel("tickts"), prompt: "a", maxRetries: 0 });
    await expect(unknown).rejects.toThrow('Did you mean "tickets"?');
  });
});
