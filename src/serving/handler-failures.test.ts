import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { CadreError } from "../core/errors.js";
import { completion, errorOf, eventsOf, get, post, until } from "./ask.test.helpers.js";
import { createFakeCadre } from "./fake-cadre.test.helpers.js";
import { createHandler, type ServingFailure } from "./handler.js";

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
