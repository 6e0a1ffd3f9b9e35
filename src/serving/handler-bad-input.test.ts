import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { completion, errorOf, get, post } from "./ask.test.helpers.js";
import { createFakeCadre } from "./fake-cadre.test.helpers.js";
import { createHandler } from "./handler.js";

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
