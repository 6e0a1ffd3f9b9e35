import { createServer, request } from "node:http";
import { connect } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { expect, onTestFinished, test, vi } from "vitest";
import { until } from "../ask.test.helpers.js";
import { createFakeCadre, type FakeCadreOptions } from "../fake-cadre.test.helpers.js";
import { createHandler } from "../handler.js";
import { isLoopback, type ListenOptions, listen } from "./listen.js";

const json = { "content-type": "application/json" };

async function serve(fake: FakeCadreOptions = {}, options: ListenOptions = {}) {
  const cadre = createFakeCadre(fake);
  const server = await listen(cadre, { port: 0, ...options });
  onTestFinished(() => server.close(0));
  return { cadre, server, url: server.url };
}

function ask(url: string, words = 2): Promise<Response> {
  const body = JSON.stringify({ model: "auto", prompt: "word ".repeat(words), max_tokens: words });
  return fetch(`${url}/v1/completions`, { method: "POST", headers: json, body });
}

test("listens on loopback, and nowhere else without a key", async () => {
  const { url } = await serve();
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  for (const host of ["0.0.0.0", "::", "192.168.1.5", "", "example.org"]) {
    await expect(listen(createFakeCadre(), { port: 0, host })).rejects.toMatchObject({
      code: "invalid-argument",
      message: expect.stringContaining("CADRE_API_KEY"),
    });
  }
  const open = await serve({}, { host: "0.0.0.0", apiKey: "k" });
  const there = open.url.replace("0.0.0.0", "127.0.0.1");
  expect((await fetch(`${there}/v1/models`)).status).toBe(401);
  expect((await fetch(`${there}/v1/models`, { headers: { authorization: "Bearer k" } })).status).toBe(200);
});

test.each([
  ["localhost", true],
  ["127.0.0.1", true],
  ["127.8.9.10", true],
  ["::1", true],
  ["127.0.0.1.example.org", false],
  ["0.0.0.0", false],
  ["10.0.0.1", false],
])("%s is loopback: %s", (host, is) => {
  expect(isLoopback(host)).toBe(is);
});

test("a page that points its own name at this machine gets nothing", async () => {
  const { url } = await serve();
  const { port } = new URL(url);
  const statusFor = (host: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      request({ host: "127.0.0.1", port, path: "/v1/models", headers: { host } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on("error", reject)
        .end();
    });
  expect(await statusFor(`evil.example:${port}`)).toBe(403);
  expect(await statusFor(`localhost:${port}`)).toBe(200);
  expect(await statusFor(`[::1]:${port}`)).toBe(200);
});

test("a taken port and a strange host are said in words", async () => {
  const { url } = await serve();
  const port = Number(new URL(url).port);
  await expect(listen(createFakeCadre(), { port })).rejects.toMatchObject({
    code: "unavailable",
    message: `port ${port} of 127.0.0.1 is taken by another program; choose another port (0: any free one)`,
  });
  await expect(listen(createFakeCadre(), { port: 0, host: "192.0.2.1", apiKey: "k" })).rejects.toMatchObject({
    code: "invalid-argument",
  });
});

test("closing lets answers finish, takes no more, and ends idle connections", async () => {
  const { cadre, server, url } = await serve({ tokenDelay: 5 });
  const answer = ask(url, 20);
  await until(() => cadre.running === 1);
  const closing = server.close();
  await expect(fetch(`${url}/health`)).rejects.toThrow();
  expect((await answer).status).toBe(200);
  const before = performance.now();
  await closing;
  // Node would keep the client's connection for five seconds.
  expect(performance.now() - before).toBeLessThan(4000);
  expect(cadre.stopped).toBe(0);
});

test("closing waits for what takes longer than ten seconds", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const { cadre, server, url } = await serve({ tokenDelay: 30_000 });
  const answer = ask(url, 2);
  while (cadre.running === 0) await new Promise((resolve) => setImmediate(resolve));
  const closing = server.close();
  await vi.advanceTimersByTimeAsync(61_000);
  expect((await answer).status).toBe(200);
  await closing;
  expect(cadre.stopped).toBe(0);
});

test("closing does not wait for connections that have asked nothing", async () => {
  const { server, url } = await serve();
  const { port, hostname } = new URL(url);
  const socket = connect(Number(port), hostname);
  const ended = new Promise((resolve) => socket.once("close", resolve));
  await new Promise((resolve) => socket.once("connect", resolve));
  // The server has seen the connection once it has answered another one.
  await fetch(`${url}/health`);
  const before = performance.now();
  await server.close();
  await ended;
  expect(performance.now() - before).toBeLessThan(4000);
});

test("closing breaks off what takes too long, and a second call does so at once", async () => {
  for (const shorten of [false, true]) {
    const { cadre, server, url } = await serve({ tokenDelay: 20 });
    const answer = ask(url, 400).catch(() => "broken off");
    await until(() => cadre.running === 1);
    const closing = server.close(shorten ? 60 : 0.05);
    if (shorten) await server.close(0);
    await closing;
    expect(await answer).toBe("broken off");
    await until(() => cadre.running === 0);
  }
});

test("a client that hangs up stops its answer", async () => {
  const { cadre, url } = await serve({ tokenDelay: 10 });
  const { port, hostname } = new URL(url);
  const body = JSON.stringify({ model: "auto", prompt: "word ".repeat(300) });
  const socket = connect(Number(port), hostname, () => {
    socket.write(
      `POST /v1/completions HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
  });
  await until(() => cadre.running === 1);
  socket.destroy();
  await until(() => cadre.running === 0);
  expect(cadre.stopped).toBe(1);
});

test("a body beyond the limit is refused over the wire, announced or not", async () => {
  const { url } = await serve({}, { limits: { bodyBytes: 100_000 } });
  const body = JSON.stringify({ model: "auto", prompt: "a".repeat(300_000) });
  const announced = await fetch(`${url}/v1/completions`, { method: "POST", headers: json, body });
  expect(announced.status).toBe(413);
  const stream = new Blob([body]).stream();
  const chunked = await fetch(`${url}/v1/completions`, { method: "POST", headers: json, body: stream, duplex: "half" });
  expect(chunked.status).toBe(413);
  expect((await ask(url)).status).toBe(200);
});

test("a body that stops coming is answered with 408", async () => {
  const { url } = await serve({}, { limits: { seconds: 0.1 } });
  const { port, hostname } = new URL(url);
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write(
        `POST /v1/classify HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{`,
      );
    });
    socket.once("data", (bytes) => {
      socket.destroy();
      resolve(String(bytes));
    });
    socket.on("error", reject);
  });
  expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  expect(answer).toContain("request_timeout");
});

test("the adapter of docs/serving.md mounts the handler in a server of Node's kind, such as express", async () => {
  const handler = createHandler(createFakeCadre());
  const server = createServer(getRequestListener(handler, { overrideGlobalObjects: false }));
  onTestFinished(() => {
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  expect((await ask(`http://127.0.0.1:${port}`)).status).toBe(200);
});
