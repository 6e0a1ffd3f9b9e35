import { Hono } from "hono";
import { mount } from "hono/mount";
import { describe, expect, test } from "vitest";
import { errorOf, get } from "./ask.test.helpers.js";
import { createFakeCadre } from "./fake-cadre.test.helpers.js";
import { createHandler } from "./handler.js";

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
