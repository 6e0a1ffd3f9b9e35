import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { Hono } from "hono";
import { mount } from "hono/mount";
import { describe, expect, onTestFinished, test } from "vitest";
import { CadreError } from "../core/errors.js";
import { errorOf, eventsOf, post, until } from "./ask.test.helpers.js";
import { createFakeCadre, TICKETS, TITLES } from "./fake-cadre.test.helpers.js";
import { createHandler, type ServingFailure } from "./handler.js";

const completion = { model: "auto", prompt: "one two three" };
const get = (path: string, headers: Record<string, string> = {}) => new Request(`http://127.0.0.1${path}`, { headers });

describe("models", () => {
  test.each([
    ["base", "cadre-mini", "base"],
    ["cadre-mini", "cadre-mini", "base"],
    ["auto", "cadre-mini:auto", "auto"],
    ["cadre-mini:auto", "cadre-mini:auto", "auto"],
    [TICKETS.id, `cadre-mini:${TICKETS.id}`, TICKETS.id],
    [TICKETS.name, `cadre-mini:${TICKETS.id}`, TICKETS.id],
    [`cadre-mini:${TITLES.id}`, `cadre-mini:${TITLES.id}`, TITLES.id],
    [`cadre-mini:${TITLES.name}`, `cadre-mini:${TITLES.id}`, TITLES.id],
    // A name with a colon that is not the base's.
    [TITLES.name, `cadre-mini:${TITLES.id}`, TITLES.id],
  ])("%j answers as %j", async (model, full, experts) => {
    const cadre = createFakeCadre();
    const response = await post(createHandler(cadre), "/v1/completions", { ...completion, model });
    expect(await response.json()).toMatchObject({ model: full });
    expect(cadre.calls[0]?.options.experts).toBe(experts);
  });

  test.each([
    ["/home/someone/bases/t5-tiny", "t5-tiny"],
    ["/home/someone/bases/t5-tiny/", "t5-tiny"],
    ["C:\\bases\\t5-tiny", "t5-tiny"],
    ["google/t5-tiny", "google/t5-tiny"],
  ])("of the base %s are called %s, and understood by both", async (base, served) => {
    const cadre = createFakeCadre({ base });
    const handler = createHandler(cadre);
    const list = await (await handler(get("/v1/models"))).text();
    if (served !== base) expect(list).not.toContain("bases");
    for (const [asked, full, experts] of [
      [base, served, "base"],
      [served, served, "base"],
      [`${base}:auto`, `${served}:auto`, "auto"],
      [`${served}:auto`, `${served}:auto`, "auto"],
      [`${base}:tickets`, `${served}:${TICKETS.id}`, TICKETS.id],
      [`${served}:${TICKETS.id}`, `${served}:${TICKETS.id}`, TICKETS.id],
    ]) {
      const response = await post(handler, "/v1/completions", { ...completion, model: asked });
      expect(await response.json()).toMatchObject({ model: full });
      expect(cadre.calls.at(-1)?.options.experts).toBe(experts);
      expect(list).toContain(`"id":"${full}"`);
      const entry = await handler(get(`/v1/models/${encodeURIComponent(asked ?? "")}`));
      expect(await entry.json()).toMatchObject({ id: full });
    }
    const unknown = await errorOf(
      await post(handler, "/v1/completions", { ...completion, model: `${served}:ticketz` }),
    );
    if (served !== base) expect(unknown.message).not.toContain("someone");
  });

  test.each([
    ["ticket", 'Did you mean "tickets"?'],
    ["cadre-mini:tickets-0a1b2c3e", 'Did you mean "cadre-mini:tickets-0a1b2c3d"?'],
    ["cadre-mino", 'Did you mean "cadre-mini"?'],
    ["gpt-4o", "GET /v1/models lists what there is"],
  ])("%j is unknown", async (model, hint) => {
    const error = await errorOf(await post(createHandler(createFakeCadre()), "/v1/classify", { model, input: "a" }));
    expect(error).toMatchObject({ status: 404, param: "model", code: "model_not_found" });
    expect(error.message).toContain(hint);
  });

  test("an expert that another process added is found; unknown names do not read the library again and again", async () => {
    const added = { ...TICKETS, id: "letters-12345678", name: "letters" };
    const cadre = createFakeCadre({ added: [added] });
    const handler = createHandler(cadre);
    const response = await post(handler, "/v1/classify", { model: "letters", input: "a" });
    expect(response.status).toBe(200);
    for (const model of ["x", "y", "z"]) await post(handler, "/v1/classify", { model, input: "a" });
    expect(cadre.refreshes).toBe(1);
  });

  test("are listed with what is known of their experts", async () => {
    const handler = createHandler(createFakeCadre());
    const { data } = (await (await handler(get("/v1/models"))).json()) as { data: { id: string }[] };
    expect(data.map(({ id }) => id)).toEqual([
      "cadre-mini",
      "cadre-mini:auto",
      `cadre-mini:${TICKETS.id}`,
      `cadre-mini:${TITLES.id}`,
    ]);
    expect(data[2]).toMatchObject({
      object: "model",
      owned_by: "cadre",
      created: Date.parse(TICKETS.created) / 1000,
      expert: { name: "tickets", choices: ["billing", "technical"], role: "expert" },
    });
    const one = await handler(get("/v1/models/tickets"));
    expect(await one.json()).toEqual(data[2]);
    expect((await errorOf(await handler(get("/v1/models/tackets")))).status).toBe(404);
  });
});

describe("completions", () => {
  test("options reach the cadre under its own names", async () => {
    const cadre = createFakeCadre();
    const body = {
      ...completion,
      max_tokens: 7,
      temperature: 0.5,
      top_p: 0.9,
      top_k: 5,
      min_p: 0.1,
      repetition_penalty: 1.2,
      n: 2,
      stop: "two",
      seed: -1,
      logprobs: 3,
      stream: false,
      user: "someone",
      metadata: { a: 1 },
      store: true,
      echo: false,
      best_of: 2,
      logit_bias: {},
      suffix: null,
      presence_penalty: 0,
      unheard_of: 1,
    };
    const response = await post(createHandler(cadre), "/v1/completions", body);
    expect(response.status).toBe(200);
    const { signal, ...options } = cadre.calls[0]?.options ?? {};
    expect(signal).toBeInstanceOf(AbortSignal);
    expect(options).toEqual({
      experts: "auto",
      maxTokens: 7,
      temperature: 0.5,
      topP: 0.9,
      topK: 5,
      minP: 0.1,
      repetitionPenalty: 1.2,
      samples: 2,
      stop: ["two"],
      seed: 2 ** 32 - 1,
      logProbabilities: 3,
    });
  });

  test("several prompts times n, with usage, reasons and routing", async () => {
    const body = { ...completion, prompt: ["one two", "three"], n: 2, max_tokens: 2 };
    const response = await post(createHandler(createFakeCadre()), "/v1/completions", body);
    const json = await response.json();
    expect(json).toMatchObject({
      object: "text_completion",
      choices: [
        { index: 0, text: "one two", finish_reason: "stop", logprobs: null },
        { index: 1, text: "one two", finish_reason: "length" },
        { index: 2, text: "three", finish_reason: "stop" },
        { index: 3, text: "three #1", finish_reason: "stop" },
      ],
      usage: { prompt_tokens: 5, completion_tokens: 3 + 2 + 2 + 3, total_tokens: 15 },
    });
    expect(json).toHaveProperty("choices.0.routing", {
      by: "auto",
      experts: [{ id: TICKETS.id, name: "tickets", weight: 1 }],
      ranking: [{ id: TICKETS.id, votes: 3 }],
    });
  });

  test("logprobs: characters beyond 16 bits count once, equal texts once", async () => {
    const body = { ...completion, prompt: "🙂🙂 b", logprobs: 1 };
    const response = await post(createHandler(createFakeCadre()), "/v1/completions", body);
    expect(await response.json()).toHaveProperty("choices.0.logprobs", {
      tokens: ["🙂🙂", " b"],
      token_logprobs: [-1, -1],
      top_logprobs: [
        { "🙂🙂-0": -2, "🙂🙂": -1 },
        { " b-0": -2, " b": -1 },
      ],
      text_offset: [0, 2],
    });
  });

  test("streamed parts add up to the whole answer", async () => {
    const handler = createHandler(createFakeCadre());
    const body = { ...completion, prompt: ["one two three", "four"], n: 2, logprobs: 0 };
    const whole = (await (await post(handler, "/v1/completions", body)).json()) as {
      choices: { text: string; logprobs: object }[];
      usage: object;
    };
    const streamed = await post(handler, "/v1/completions", {
      ...body,
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(streamed.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    const events = await eventsOf(streamed);
    expect(events.at(-1)).toBe("[DONE]");
    const chunks = events.slice(0, -1).map((event) => JSON.parse(event));
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: whole.usage });
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
    whole.choices.forEach((choice, index) => {
      const parts = chunks.flatMap((chunk) => chunk.choices).filter((part) => part.index === index);
      expect(parts.map(({ text }) => text).join("")).toBe(choice.text);
      const joined = Object.fromEntries(
        Object.keys(choice.logprobs).map((key) => [key, parts.flatMap(({ logprobs }) => logprobs[key])]),
      );
      expect(joined).toEqual(choice.logprobs);
      expect(parts.map((part) => part.finish_reason)).toEqual([...parts.slice(1).map(() => null), "stop"]);
      expect(parts.map((part) => "routing" in part)).toEqual(parts.map((_, position) => position === 0));
    });
  });

  test("what fails before the first token has a status, what fails later is the last event", async () => {
    const lost = new CadreError("engine-lost", "the engine's process died; ask again");
    const before = await post(createHandler(createFakeCadre({ failure: lost })), "/v1/completions", {
      ...completion,
      stream: true,
    });
    expect(await errorOf(before)).toMatchObject({ status: 503, code: "engine_lost" });
    const later = await post(createHandler(createFakeCadre({ laterFailure: lost })), "/v1/completions", {
      ...completion,
      stream: true,
    });
    const events = await eventsOf(later);
    expect(events).toHaveLength(2);
    expect(JSON.parse(events[1] ?? "")).toEqual({
      error: { message: lost.message, type: "server_error", param: null, code: "engine_lost" },
    });
  });

  test("more than the limits is refused, naming them", async () => {
    const handler = createHandler(createFakeCadre(), { limits: { tokens: 10, inputs: 3, n: 2, bodyBytes: 1000 } });
    const refused = async (fields: object) =>
      errorOf(await post(handler, "/v1/completions", { ...completion, ...fields }));
    expect(await refused({ max_tokens: 11 })).toMatchObject({ status: 400, param: "max_tokens" });
    expect((await refused({ max_tokens: 11 })).message).toContain("from 1 to 10 (the limit tokens)");
    expect(await refused({ n: 3 })).toMatchObject({ status: 400, param: "n" });
    expect(await refused({ prompt: ["a", "b", "c", "d"] })).toMatchObject({ status: 400, param: "prompt" });
    expect(await refused({ prompt: ["a", "b"], n: 2 })).toMatchObject({ status: 400, param: "n" });
    expect(await refused({ prompt: "a".repeat(1000) })).toMatchObject({ status: 413, code: "body_too_large" });
    // The default number of tokens stays below the limit.
    const cadre = createFakeCadre();
    await post(createHandler(cadre, { limits: { tokens: 10 } }), "/v1/completions", completion);
    expect(cadre.calls[0]?.options.maxTokens).toBe(10);
  });
});

describe("classify", () => {
  test("labels for each input", async () => {
    const cadre = createFakeCadre();
    const body = { model: "tickets", input: ["I was charged", "twice"], choices: ["yes", "no"] };
    const response = await post(createHandler(cadre), "/v1/classify", body);
    expect(await response.json()).toEqual({
      object: "list",
      model: `cadre-mini:${TICKETS.id}`,
      data: [0, 1].map((index) => ({
        object: "classification",
        index,
        choice: "yes",
        scores: [
          { choice: "yes", probability: 0.5, logprob: -1 },
          { choice: "no", probability: 0.5, logprob: -2 },
        ],
        routing: { by: "request", experts: [{ id: TICKETS.id, name: "tickets", weight: 1 }], ranking: [] },
        input_tokens_cut: 0,
      })),
      usage: { prompt_tokens: 6, total_tokens: 6 },
    });
  });

  test("without choices the expert's own are meant", async () => {
    const cadre = createFakeCadre();
    const response = await post(createHandler(cadre), "/v1/classify", { model: "auto", input: "a", choices: null });
    expect(await response.json()).toHaveProperty("data.0.choice", "billing");
    expect(cadre.calls[0]?.options).not.toHaveProperty("choices");
  });
});

test("what routing and embedding did not read is told", async () => {
  for (const tokensCut of [0, 7]) {
    const handler = createHandler(createFakeCadre({ tokensCut }));
    const classified = await (await post(handler, "/v1/classify", { model: "auto", input: "a" })).json();
    if (tokensCut > 0) expect(classified).toHaveProperty("data.0.routing.input_tokens_cut", tokensCut);
    else expect(classified).not.toHaveProperty("data.0.routing.input_tokens_cut");
    const embedded = await (await post(handler, "/v1/embeddings", { model: "base", input: ["a", "b"] })).json();
    expect(embedded).toHaveProperty("data.1.input_tokens_cut", tokensCut);
  }
});

describe("bad input", () => {
  const handler = createHandler(createFakeCadre());

  test.each([
    ["prompt", {}],
    ["prompt", { prompt: 3 }],
    ["prompt", { prompt: [] }],
    ["prompt.0", { prompt: "" }],
    ["prompt.1", { prompt: ["a", ""] }],
    ["prompt.0", { prompt: [1, 2, 3] }],
    ["prompt.0", { prompt: [[1, 2], [3]] }],
    ["model", { prompt: "a", model: 1 }],
    ["model", { prompt: "a", model: null }],
    ["model", { prompt: "a", model: "m".repeat(501) }],
    ["max_tokens", { prompt: "a", max_tokens: 0 }],
    ["max_tokens", { prompt: "a", max_tokens: "9" }],
    ["max_tokens", { prompt: "a", max_tokens: 1.5 }],
    ["temperature", { prompt: "a", temperature: "hot" }],
    ["temperature", { prompt: "a", temperature: -0.1 }],
    ["top_p", { prompt: "a", top_p: 0 }],
    ["n", { prompt: "a", n: 0 }],
    ["top_k", { prompt: "a", top_k: -2 }],
    ["top_k", { prompt: "a", top_k: 1.5 }],
    ["stop", { prompt: "a", stop: 5 }],
    ["stop.1", { prompt: "a", stop: ["", 5] }],
    ["stop", { prompt: "a", stop: Array(17).fill("s") }],
    ["seed", { prompt: "a", seed: 2 ** 60 }],
    ["seed", { prompt: "a", seed: 0.5 }],
    ["logprobs", { prompt: "a", logprobs: 21 }],
    ["logprobs", { prompt: "a", logprobs: true }],
    ["stream", { prompt: "a", stream: "yes" }],
    ["stream_options", { prompt: "a", stream_options: [] }],
    ["echo", { prompt: "a", echo: true }],
    ["best_of", { prompt: "a", best_of: 3 }],
    ["suffix", { prompt: "a", suffix: "end" }],
    ["logit_bias", { prompt: "a", logit_bias: { 50256: -100 } }],
    ["presence_penalty", { prompt: "a", presence_penalty: 0.5 }],
    ["frequency_penalty", { prompt: "a", frequency_penalty: 1 }],
    ["guided_choice", { prompt: "a", guided_choice: ["a", "b"] }],
    ["num_beams", { prompt: "a", num_beams: 4 }],
    ["beams", { prompt: "a", beams: 4 }],
    ["typical", { prompt: "a", typical: 0.9 }],
    ["choices", { prompt: "a", choices: ["a", "b"] }],
    // A slip that would change the answer.
    ["temprature", { prompt: "a", temprature: 0.5 }],
  ])("completions name %j in %j", async (param, fields) => {
    const error = await errorOf(await post(handler, "/v1/completions", { model: "auto", ...fields }));
    expect(error).toMatchObject({ status: 400, param, type: "invalid_request_error" });
    expect(error.message).toContain(param.replace(/\.(\d)$/, "[$1]"));
  });

  test.each([
    ["/v1/completions", { samples: 3 }, "use n"],
    ["/v1/completions", { stop_sequences: ["x"] }, "use stop"],
    ["/v1/completions", { experts: "tickets" }, "use model"],
    ["/v1/completions", { messages: [{ role: "user", content: "a" }] }, "use prompt"],
    ["/v1/completions", { max_new_tokens: 5 }, "use max_tokens"],
    ["/v1/classify", { experts: "tickets" }, "use model"],
    ["/v1/classify", { labels: ["a", "b"] }, "use choices"],
    ["/v1/classify", { temperature: 0.7 }, "leave it out"],
    ["/v1/classify", { top_k: 5 }, "leave it out"],
    ["/v1/classify", { n: 2 }, "leave it out"],
    ["/v1/classify", { stream: true }, "leave it out"],
    ["/v1/embeddings", { prompt: "a" }, "use input"],
  ])("%s refuses %j, which would change the answer", async (path, fields, hint) => {
    const required = path === "/v1/completions" ? { prompt: "a" } : { input: "a" };
    const error = await errorOf(await post(handler, path, { model: "auto", ...required, ...fields }));
    expect(error).toMatchObject({ status: 400, code: "unsupported_parameter", param: Object.keys(fields)[0] });
    expect(error.message).toContain(hint);
  });

  test("what other servers' clients send and asks for nothing is taken", async () => {
    const cadre = createFakeCadre();
    const own = createHandler(cadre);
    const drawn = { ...completion, top_k: -1, stop: "", num_beams: 1, do_sample: false, typical_p: 1 };
    expect((await post(own, "/v1/completions", drawn)).status).toBe(200);
    expect((await post(own, "/v1/completions", { ...completion, top_k: 0, stop: ["", "two"] })).status).toBe(200);
    expect(cadre.calls.map(({ options }) => [options.topK, options.stop])).toEqual([
      [undefined, []],
      [undefined, ["two"]],
    ]);
    const compared = { model: "auto", input: "a", temperature: 0, n: 1, stream: false, seed: 5, user: "u" };
    expect((await post(own, "/v1/classify", compared)).status).toBe(200);
  });

  test.each([
    [{ n: 0 }, "expected a whole number from 1 to 16 (the limit n)"],
    [{ n: 17 }, "expected a whole number from 1 to 16 (the limit n)"],
    [{ max_tokens: 0 }, "expected a whole number from 1 to 512 (the limit tokens)"],
    [{ max_tokens: 1.5 }, "expected a whole number from 1 to 512 (the limit tokens)"],
    [{ prompt: undefined }, "expected a text or a list of texts"],
    [{ prompt: { a: 1 } }, "expected a text or a list of texts"],
    [{ stop: 5 }, "expected a text or a list of texts"],
    [{ temperature: 3 }, "expected a number from 0 to 2"],
    [{ top_p: 1.5 }, "expected a number above 0, at most 1"],
    [{ top_k: -2 }, "expected a whole number of 1 or more (0 or -1: all)"],
    [{ logprobs: -1 }, "expected a whole number from 0 to 20"],
    [{ model: "" }, "expected the name of a model"],
  ])("%j is told what is expected", async (fields, message) => {
    const error = await errorOf(await post(handler, "/v1/completions", { ...completion, ...fields }));
    expect(error.status).toBe(400);
    expect(error.message).toContain(message);
  });

  test.each([
    ["input", {}],
    ["input.0", { input: "" }],
    ["choices", { input: "a", choices: "yes" }],
    ["choices", { input: "a", choices: ["yes"] }],
    ["choices.1", { input: "a", choices: ["yes", 2] }],
  ])("classify names %j in %j", async (param, fields) => {
    const error = await errorOf(await post(handler, "/v1/classify", { model: "auto", ...fields }));
    expect(error).toMatchObject({ status: 400, param });
  });

  test.each([
    ["", "the end of the text"],
    ["{", "line 1, column 2"],
    ['{"model": "auto", "temperature": NaN}', "NaN"],
    ["[]", "expected a JSON object"],
    ["null", "expected a JSON object"],
    ['"text"', "expected a JSON object"],
    ["[".repeat(100_000), "nested deeper"],
    [`{"prompt":${"[".repeat(300)}${"]".repeat(300)}}`, "nested deeper"],
    ['{"model":"auto","prompt":"a","max_tokens":1e999}', "max_tokens"],
    ['{"model":"auto","prompt":"a","temperature":-1e400}', "temperature"],
    ['{"model":"auto","prompt":"a","seed":99999999999999999999999999}', "seed"],
    ['{"model":"auto","prompt":"a","__proto__":{"n":5},"n":-1}', "n"],
  ])("the body %.50s", async (body, part) => {
    const error = await errorOf(await post(handler, "/v1/completions", body));
    expect(error.status).toBe(400);
    expect(error.message).toContain(part);
    expect(error.message.length).toBeLessThan(2000);
  });

  test("whatever JSON comes, the answer is 200, 400 or 404 in its shape", async () => {
    const fields = fc.record(
      {
        model: fc.oneof(fc.constant("auto"), fc.jsonValue()),
        prompt: fc.oneof(fc.string(), fc.jsonValue()),
        n: fc.oneof(fc.integer(), fc.jsonValue()),
        stop: fc.oneof(fc.string(), fc.jsonValue()),
        max_tokens: fc.oneof(fc.double(), fc.jsonValue()),
        seed: fc.oneof(fc.double(), fc.jsonValue()),
        logit_bias: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(fc.oneof(fields, fc.jsonValue()), async (body) => {
        const response = await post(handler, "/v1/completions", JSON.stringify(body));
        if (response.status !== 200) expect([400, 404]).toContain((await errorOf(response)).status);
      }),
    );
  });

  test("bytes that are no UTF-8, and other content types", async () => {
    const send = (body: string | Uint8Array, type: string) =>
      handler(new Request("http://127.0.0.1/v1/classify", { method: "POST", headers: { "content-type": type }, body }));
    const binary = await errorOf(await send(Uint8Array.of(0x22, 0xff, 0x22), "application/json; charset=utf-8"));
    expect(binary).toMatchObject({ status: 400 });
    expect(binary.message).toContain("UTF-8");
    const form = await errorOf(await send('{"model":"auto","input":"a"}', "text/plain"));
    expect(form).toMatchObject({ status: 415, code: "unsupported_media_type" });
  });

  const manyFields = Object.fromEntries(Array.from({ length: 60_000 }, (_, index) => [`modl${index}`, 1]));
  test.each([
    ["texts", { prompt: Array(200_000).fill("a") }, "at most 64 texts (the limit inputs)"],
    ["token ids", { prompt: Array(400_000).fill(1) }, "token ids are not taken"],
    ["stops", { prompt: "a", stop: Array(200_000).fill("a") }, "at most 16 texts"],
    ["a field's name", { prompt: "a", ["stream".repeat(150_000)]: 1 }, "did you mean stream?"],
    ["fields", { prompt: "a", ...manyFields }, "at most 100 fields, found 60002"],
    ["a model's name", { prompt: "a", model: "m".repeat(1_000_000) }, "model"],
  ])("hostile numbers of %s", async (_, fields, part) => {
    const error = await errorOf(await post(handler, "/v1/completions", { model: "auto", ...fields }));
    expect(error.status).toBe(400);
    expect(error.message).toContain(part);
    expect(error.message.length).toBeLessThan(6000);
  });

  test("a chat is refused with the endpoints to use", async () => {
    const error = await errorOf(await post(handler, "/v1/chat/completions", { model: "auto", messages: [] }));
    expect(error).toMatchObject({ status: 400, code: "unsupported", param: "messages" });
    expect(error.message).toContain("/v1/completions");
    expect(error.message).toContain("/v1/classify");
  });

  test("embeddings take as many texts as the AI SDK sends at a time, and no more", async () => {
    const texts = Array(2048).fill("a");
    const taken = await post(handler, "/v1/embeddings", { model: "base", input: texts });
    expect(await taken.json()).toHaveProperty("data.2047.index", 2047);
    const error = await errorOf(await post(handler, "/v1/embeddings", { model: "base", input: [...texts, "a"] }));
    expect(error).toMatchObject({ status: 400, param: "input" });
    expect(error.message).toContain("at most 2048 texts (the limit embeddings)");
  });

  test("embeddings refuse another width", async () => {
    const error = await errorOf(await post(handler, "/v1/embeddings", { model: "base", input: "a", dimensions: 2 }));
    expect(error).toMatchObject({ status: 400, param: "dimensions", code: "unsupported_parameter" });
  });

  test("unknown addresses and methods", async () => {
    const unknown = await errorOf(await handler(get("/v1/completion")));
    expect(unknown).toMatchObject({ status: 404, code: "unknown_url" });
    expect(unknown.message).toContain("POST /v1/completions");
    const method = await handler(get("/v1/completions"));
    expect(method.headers.get("allow")).toBe("POST");
    expect(await errorOf(method)).toMatchObject({ status: 405, code: "method_not_allowed" });
  });
});

describe("a library that changes while it is served", () => {
  const replaced = new CadreError("mismatch", "/home/secret/library: the expert was replaced by another one");
  const gone = new CadreError("not-found", "/home/secret/library/experts: no expert");
  const requests = [
    ["/v1/completions", completion],
    ["/v1/completions", { ...completion, model: TICKETS.id }],
    ["/v1/completions", { ...completion, prompt: ["one two", "three"], stream: true }],
    ["/v1/classify", { model: "auto", input: ["a", "b"] }],
    ["/v1/embeddings", { model: "base", input: "a" }],
  ] as const;

  test.each(requests)("%s %j is answered after an expert was replaced", async (path, body) => {
    for (const failure of [replaced, gone]) {
      const cadre = createFakeCadre();
      const failures: ServingFailure[] = [];
      const handler = createHandler(cadre, { onEvent: (event) => failures.push(event) });
      await handler(get("/v1/models"));
      cadre.becomeStale(failure);
      const response = await post(handler, path, body);
      expect(response.status).toBe(200);
      expect(await response.text()).not.toContain("error");
      // Once for the list, once for the request, however many inputs it has.
      expect(cadre.refreshes).toBe(2);
      expect(failures).toEqual([]);
    }
  });

  test("an expert that was removed is unknown from then on", async () => {
    const cadre = createFakeCadre();
    const handler = createHandler(cadre);
    await handler(get("/v1/models"));
    for (const stream of [false, true]) {
      cadre.becomeStale(gone, [TITLES]);
      const error = await errorOf(await post(handler, "/v1/completions", { ...completion, model: TICKETS.id, stream }));
      expect(error).toMatchObject({ status: 404, param: "model", code: "model_not_found" });
      expect(error.message).toContain(TICKETS.id);
      expect(error.message).not.toContain("secret");
    }
  });

  test("what fails again is not asked a third time", async () => {
    const cadre = createFakeCadre({ failure: replaced });
    const handler = createHandler(cadre);
    expect((await errorOf(await post(handler, "/v1/completions", completion))).status).toBe(503);
    expect(cadre.calls).toHaveLength(2);
  });

  test("other failures are not asked again", async () => {
    const cadre = createFakeCadre({ failure: new CadreError("engine-lost", "gone") });
    await post(createHandler(cadre), "/v1/completions", completion);
    expect(cadre.calls).toHaveLength(1);
  });

  test("what changes after the first token ends the stream; nothing is said twice", async () => {
    const cadre = createFakeCadre({ laterFailure: replaced });
    const events = await eventsOf(await post(createHandler(cadre), "/v1/completions", { ...completion, stream: true }));
    expect(events).toHaveLength(2);
    expect(JSON.parse(events[1] ?? "")).toMatchObject({ error: { code: "library_changed" } });
    expect(cadre.calls).toHaveLength(1);
  });

  test("requests for known models have the library read for those who come later", async () => {
    const added = { ...TICKETS, id: "letters-12345678", name: "letters" };
    const cadre = createFakeCadre({ added: [added] });
    const handler = createHandler(cadre);
    for (let request = 0; request < 3; request += 1) await post(handler, "/v1/completions", completion);
    expect(cadre.refreshes).toBe(1);
    expect(cadre.experts).toContain(added);
  });
});

describe("failures of the cadre", () => {
  test.each([
    [new CadreError("invalid-argument", "choices: two are equal"), 400, "two are equal"],
    [new CadreError("unsupported", "the library's encoder gives none"), 400, "gives none"],
    [new CadreError("closed", "the cadre is closed"), 503, "the cadre is closed"],
    [new CadreError("engine-lost", "the engine's process died"), 503, "died"],
  ])("%s has status %i", async (failure, status, part) => {
    const handler = createHandler(createFakeCadre({ failure }));
    const error = await errorOf(await post(handler, "/v1/classify", { model: "auto", input: "a" }));
    expect(error.status).toBe(status);
    expect(error.message).toContain(part);
  });

  test.each([
    new CadreError("invalid-file", "/home/secret/library/expert.json: expected an object"),
    new TypeError("undefined is no function of /home/secret"),
  ])("%s is kept from the client and told to the owner", async (failure) => {
    const failures: ServingFailure[] = [];
    const handler = createHandler(createFakeCadre({ failure }), { onEvent: (event) => failures.push(event) });
    const response = await post(handler, "/v1/embeddings", { model: "auto", input: "a" });
    const id = response.headers.get("x-request-id");
    const error = await errorOf(response);
    expect(error).toMatchObject({ status: 500, code: "internal" });
    expect(error.message).not.toContain("secret");
    expect(error.message).toContain(id);
    expect(failures).toEqual([
      { type: "failure", error: failure, requestId: id, method: "POST", path: "/v1/embeddings" },
    ]);
  });

  test.each([
    [new CadreError("not-found", "/home/secret/library: no expert"), 404, "model_not_found"],
    [new CadreError("mismatch", "/home/secret/library: keys of two encoders"), 503, "library_changed"],
    [new CadreError("out-of-memory", "/home/secret/delta: cannot hold 5 bytes"), 503, "out_of_memory"],
    [new CadreError("unavailable", "openDevice: cannot load /home/secret/provider.so"), 503, "unavailable"],
  ])("%s has status %i, and only the owner learns of which file", async (failure, status, code) => {
    const failures: ServingFailure[] = [];
    const handler = createHandler(createFakeCadre({ failure }), { onEvent: (event) => failures.push(event) });
    for (const [path, body] of [
      ["/v1/completions", completion],
      ["/v1/completions", { ...completion, stream: true }],
      ["/v1/classify", { model: "auto", input: "a" }],
      ["/v1/embeddings", { model: "auto", input: "a" }],
    ] as const) {
      const error = await errorOf(await post(handler, path, body));
      expect(error).toMatchObject({ status, code });
      expect(error.message).not.toContain("secret");
    }
    expect(failures.map(({ error }) => error)).toEqual(Array(4).fill(failure));
  });

  test("health tells at once that the cadre was closed", async () => {
    const cadre = createFakeCadre();
    const handler = createHandler(cadre, { apiKey: "k" });
    expect(await (await handler(get("/health"))).json()).toEqual({ status: "ok" });
    await cadre.close();
    expect(await errorOf(await handler(get("/health")))).toMatchObject({ status: 503, code: "closed" });
  });

  test.each([
    {
      unreadable: new CadreError("not-found", "/home/secret/library: expected a library with library.json, found none"),
    },
    { unreadable: new CadreError("invalid-file", "/home/secret/library/library.json: expected an object") },
    { failure: new CadreError("unavailable", "openDevice: /home/secret") },
    { failure: new TypeError("undefined is no function of /home/secret") },
  ])("health is 503 whatever is wrong, and tells no path: %o", async (fake) => {
    const failures: ServingFailure[] = [];
    const handler = createHandler(createFakeCadre(fake), { onEvent: (event) => failures.push(event) });
    const error = await errorOf(await handler(get("/health")));
    expect(error).toMatchObject({ status: 503, type: "server_error" });
    expect(error.message).not.toContain("secret");
    expect(failures.map((failure) => failure.error)).toEqual(Object.values(fake));
  });

  test("a library that cannot be read is the server's fault, not the request's", async () => {
    const unreadable = new CadreError("not-found", "/home/secret/library: expected a library, found none");
    const handler = createHandler(createFakeCadre({ unreadable }));
    const list = await errorOf(await handler(get("/v1/models")));
    expect(list).toMatchObject({ status: 503, code: "library_unreadable" });
    expect(list.message).not.toContain("secret");
    // What is in memory still answers.
    expect((await post(handler, "/v1/completions", completion)).status).toBe(200);
  });
});

describe("time and clients that leave", () => {
  const slow = { tokenDelay: 20 };
  const long = { ...completion, prompt: "w ".repeat(200) };

  test("an answer that takes too long is stopped with 504, a stream by a last event", async () => {
    const cadre = createFakeCadre(slow);
    const handler = createHandler(cadre, { limits: { seconds: 0.1 } });
    const error = await errorOf(await post(handler, "/v1/completions", long));
    expect(error).toMatchObject({ status: 504, code: "time_limit", type: "server_error" });
    const events = await eventsOf(await post(handler, "/v1/completions", { ...long, stream: true }));
    expect(JSON.parse(events.at(-1) ?? "")).toMatchObject({ error: { code: "time_limit" } });
    await until(() => cadre.running === 0 && cadre.stopped === 2);
  });

  test("a cadre that does not heed its signal keeps nobody waiting", async () => {
    const cadre = { ...createFakeCadre(), classify: () => new Promise<never>(() => {}) };
    const handler = createHandler(cadre, { limits: { seconds: 0.05 } });
    expect((await post(handler, "/v1/classify", { model: "auto", input: "a" })).status).toBe(504);
  });

  test("a body that does not come is given up with 408", async () => {
    const handler = createHandler(createFakeCadre(), { limits: { seconds: 0.05 } });
    const body = new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode("{")) });
    const request = new Request("http://127.0.0.1/v1/classify", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
      duplex: "half",
    });
    expect(await errorOf(await handler(request))).toMatchObject({ status: 408, code: "request_timeout" });
  });

  test("a client that leaves stops the answer, streamed or not", async () => {
    const cadre = createFakeCadre(slow);
    const handler = createHandler(cadre);
    for (const stream of [false, true]) {
      const client = new AbortController();
      const answer = post(handler, "/v1/completions", { ...long, stream, n: 2 }, { signal: client.signal });
      await until(() => cadre.running === 1);
      if (stream) await answer;
      client.abort();
      if (!stream) expect(await errorOf(await answer)).toMatchObject({ status: 499 });
      await until(() => cadre.running === 0);
    }
    expect(cadre.stopped).toBe(2);
  });

  test("a reader that leaves a stream stops the answers to all prompts", async () => {
    const cadre = createFakeCadre(slow);
    const response = await post(createHandler(cadre), "/v1/completions", {
      ...long,
      prompt: [long.prompt, long.prompt, long.prompt],
      stream: true,
    });
    const reader = response.body?.getReader();
    await reader?.read();
    expect(cadre.running).toBe(3);
    await reader?.cancel();
    await until(() => cadre.running === 0);
    expect(cadre.stopped).toBe(3);
  });

  test("many inputs at a time raise no warning of Node's", async () => {
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on("warning", note);
    onTestFinished(() => void process.off("warning", note));
    const cadre = createFakeCadre({ tokenDelay: 5 });
    const handler = createHandler(cadre);
    const texts = Array.from({ length: 64 }, (_, index) => `text ${index}`);
    expect((await post(handler, "/v1/classify", { model: "auto", input: texts })).status).toBe(200);
    expect((await post(handler, "/v1/completions", { model: "auto", prompt: texts })).status).toBe(200);
    await eventsOf(await post(handler, "/v1/completions", { model: "auto", prompt: texts, stream: true }));
    await sleep(5);
    expect(warnings).toEqual([]);
  });

  test("a failing prompt stops the others", async () => {
    const cadre = createFakeCadre({ ...slow, laterFailure: new CadreError("engine-lost", "gone") });
    const prompts = { ...long, prompt: [long.prompt, long.prompt] };
    expect((await post(createHandler(cadre), "/v1/completions", prompts)).status).toBe(503);
    await sleep(50);
    expect(cadre.running).toBe(0);
  });

  test("an answer in time leaves no timer and no listener behind", async () => {
    const client = new AbortController();
    const cadre = createFakeCadre();
    const handler = createHandler(cadre);
    const response = await post(handler, "/v1/classify", { model: "auto", input: "a" }, { signal: client.signal });
    expect(response.status).toBe(200);
    client.abort();
    expect(cadre.stopped).toBe(0);
  });
});

describe("keys, hosts, origins, mounting", () => {
  test("without the key everything below /v1 is refused, and the key is nowhere in an answer", async () => {
    const handler = createHandler(createFakeCadre(), { apiKey: "s3cret-key!" });
    for (const headers of [{}, { authorization: "Bearer wrong" }, { authorization: "Basic s3cret-key!" }]) {
      const response = await handler(get("/v1/models", headers));
      expect(response.headers.get("www-authenticate")).toBe("Bearer");
      const error = await errorOf(response);
      expect(error.status).toBe(401);
      expect(error.message).not.toContain("s3cret");
    }
    expect((await handler(get("/v1/anything"))).status).toBe(401);
    expect((await handler(get("/v1/models", { authorization: "bearer s3cret-key!" }))).status).toBe(200);
    expect((await handler(get("/health"))).status).toBe(200);
  });

  test.each(["", "two words", "schlüssel", "line\nbreak"])("the key %j cannot be sent", (apiKey) => {
    expect(() => createHandler(createFakeCadre(), { apiKey })).toThrow("API key: expected 1 to 500 visible ASCII");
  });

  test("names that are not the server's are refused", async () => {
    const handler = createHandler(createFakeCadre(), { hosts: ["127.0.0.1"] });
    expect((await handler(get("/v1/models"))).status).toBe(200);
    const rebound = await errorOf(await handler(new Request("http://evil.example/v1/models")));
    expect(rebound).toMatchObject({ status: 403, code: "host_not_allowed" });
  });

  test("no origin may read answers unless it is named", async () => {
    const origin = { origin: "https://app.example" };
    const closed = await createHandler(createFakeCadre())(get("/v1/models", origin));
    expect(closed.headers.has("access-control-allow-origin")).toBe(false);
    const handler = createHandler(createFakeCadre(), { cors: ["https://app.example"], apiKey: "k" });
    const preflight = await handler(
      new Request("http://127.0.0.1/v1/completions", {
        method: "OPTIONS",
        headers: { ...origin, "access-control-request-headers": "authorization, content-type" },
      }),
    );
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-headers")).toBe("authorization,content-type");
    // A page must be able to read why it was refused.
    const refused = await handler(get("/v1/models", origin));
    expect(refused.status).toBe(401);
    expect(refused.headers.get("access-control-allow-origin")).toBe("https://app.example");
    const foreign = await handler(get("/v1/models", { origin: "https://other.example" }));
    expect(foreign.headers.has("access-control-allow-origin")).toBe(false);
  });

  test("mounts in hono, and under a path", async () => {
    const handler = createHandler(createFakeCadre());
    const app = new Hono().all("/ai/*", mount(handler));
    app.all("/v1/*", (c) => handler(c.req.raw));
    for (const path of ["/ai/v1/models", "/v1/models"]) expect((await app.fetch(get(path))).status).toBe(200);
    const under = createHandler(createFakeCadre(), { basePath: "/api/cadre" });
    expect((await under(get("/api/cadre/v1/models/auto"))).status).toBe(200);
    expect((await under(get("/v1/models"))).status).toBe(404);
    const guarded = createHandler(createFakeCadre(), { basePath: "/api/cadre", apiKey: "k" });
    expect((await guarded(get("/api/cadre/v1/models"))).status).toBe(401);
  });

  test.each([
    [{ tokns: 5 }, "did you mean tokens?"],
    [{ tokens: 0 }, "tokens: expected a whole number from 1"],
    [{ n: 1.5 }, "n: expected a whole number from 1"],
    [{ seconds: 0 }, "seconds: expected a number above 0"],
    [{ seconds: Number.NaN }, "seconds: expected a number above 0"],
    [{ bodyBytes: 2 ** 40 }, "bodyBytes"],
  ])("limits %j are refused", (limits: Record<string, number>, message) => {
    expect(() => createHandler(createFakeCadre(), { limits })).toThrow(message);
  });
});
