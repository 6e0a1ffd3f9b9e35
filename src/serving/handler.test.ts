import { describe, expect, test } from "vitest";
import { CadreError } from "../core/errors.js";
import { completion, errorOf, eventsOf, get, post } from "./ask.test.helpers.js";
import { createFakeCadre, TICKETS, TITLES } from "./fake-cadre.test.helpers.js";
import { createHandler, type ServingFailure } from "./handler.js";

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
