import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { letterRows, linesOf, writeTinyBase } from "../cadre/node/train-expert.test.helpers.js";
import { runCadre } from "./run-cadre.test.helpers.js";

const main = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));

let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-cli-serve-"));
  await writeTinyBase(join(folder, "base"));
  await mkdir(join(folder, "tasks"));
  await writeFile(join(folder, "tasks", "letters.jsonl"), linesOf(letterRows(60)));
  const flags = ["--library", "./library", "--base", "./base", "--threads", "1", "--steps", "2", "--mode", "experts"];
  const { code, errors } = await runCadre(["train", "./tasks", ...flags], { cwd: folder });
  if (code !== 0) throw new Error(`expected a library to serve: ${errors}`);
}, 240_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A server in a process of its own, once it listens. */
async function serve({
  flags = [],
  env = {},
}: {
  readonly flags?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
} = {}) {
  const child = spawn(
    process.execPath,
    [main, "serve", "./library", "--port", "0", "--threads", "1", "--offline", ...flags],
    { cwd: folder, env: { ...process.env, CADRE_API_KEY: "", ...env } },
  );
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  let output = "";
  let errors = "";
  child.stderr.on("data", (chunk) => {
    errors += String(chunk);
  });
  await new Promise<void>((resolve) => {
    child.stdout.on("data", (chunk) => {
      output += String(chunk);
      if (output.includes("curl")) resolve();
    });
    child.on("close", () => resolve());
  });
  const [url = ""] = /http:\/\/[\d.]+:\d+/.exec(output) ?? [];
  return { child, ended, url, written: () => ({ output, errors }) };
}

test("a library answers OpenAI's client and the printed line, and stops when asked", async () => {
  const { child, ended, url, written } = await serve();
  const { output } = written();
  expect(output).toMatch(/1 expert\nlistening on http:\/\/127\.0\.0\.1:\d+; /);
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
  const whole = await openai.completions.create({ model: "letters", prompt: "A 5", max_tokens: 8, logprobs: 2, n: 2 });
  expect(whole.choices).toHaveLength(2);
  expect(whole.choices[0]?.logprobs?.token_logprobs?.every((logprob) => logprob <= 0)).toBe(true);
  const streamed = await openai.completions.create({ model: "letters", prompt: "A 5", max_tokens: 8, stream: true });
  let text = "";
  for await (const { choices } of streamed) text += choices[0]?.text ?? "";
  expect(text).toBe(whole.choices[0]?.text);
  const { data } = await openai.embeddings.create({ model: "base", input: ["A 5", "B 6"] });
  expect(Math.hypot(...(data[1]?.embedding ?? []))).toBeCloseTo(1, 4);

  const [, address = "", body = ""] =
    /^try: curl (\S+) -H "content-type: application\/json" -d '(.+)'$/m.exec(output) ?? [];
  const classified = await fetch(address, { method: "POST", headers: { "content-type": "application/json" }, body });
  expect(classified.status).toBe(200);
  const answer = (await classified.json()) as { data: { scores: { choice: string; probability: number }[] }[] };
  expect(answer.data[0]?.scores.map(({ choice }) => choice).toSorted()).toEqual(["no", "yes"]);
  expect(answer.data[0]?.scores.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 5);

  child.kill("SIGTERM");
  expect(await ended, written().errors).toBe(0);
  expect(written().errors).toContain("stopping");
}, 120_000);

test("a key on the command line is demanded, and leaves the list of processes", async () => {
  const { child, ended, url, written } = await serve({ flags: ["--api-key", "very-secret-key"] });
  expect((await fetch(`${url}/v1/models`)).status).toBe(401);
  const headers = { authorization: "Bearer very-secret-key" };
  expect((await fetch(`${url}/v1/models`, { headers })).status).toBe(200);
  const { output, errors } = written();
  expect(output + errors).not.toContain("very-secret-key");
  expect(errors).toContain("CADRE_API_KEY");
  if (process.platform === "linux") {
    expect(await readFile(`/proc/${child.pid}/cmdline`, "utf8")).not.toContain("very-secret-key");
  }
  child.kill("SIGINT");
  expect(await ended).toBe(0);
}, 120_000);

test("Ctrl-C waits for a request that is under way, a second one does not", async () => {
  const { child, ended, url, written } = await serve();
  const { port, hostname } = new URL(url);
  const socket = connect(Number(port), hostname, () => {
    socket.write(
      `POST /v1/classify HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{`,
    );
  });
  socket.on("error", () => {});
  // Answered on another connection, so the request has come.
  expect((await fetch(`${url}/health`)).status).toBe(200);
  child.kill("SIGINT");
  while (!written().errors.includes("stopping when all are answered")) await sleep(20);
  expect(await Promise.race([ended, sleep(1000, "still there")])).toBe("still there");
  child.kill("SIGINT");
  expect(await ended, written().errors).toBe(0);
}, 120_000);

test.each([
  [["--host", "0.0.0.0"], "", "it needs an API key"],
  [[], "two words", "API key: expected 1 to 500 visible ASCII characters"],
])("%j with the key %j is refused before a library is read", async (flags, key, message) => {
  const { code, errors } = await runCadre(["serve", "./no-such-library", ...flags], {
    cwd: folder,
    env: { ...process.env, CADRE_API_KEY: key },
  });
  expect(code).toBe(2);
  expect(errors).toContain(message);
  expect(errors).not.toContain("no-such-library");
});

test.each([
  [["--port", "70000"], "--port: expected a whole number from 0 to 65535"],
  [["--limit", "tokns=5"], "did you mean tokens?"],
  [["--limit", "tokens"], "--limit: expected NAME=NUMBER"],
  [["--limit", "tokens=0"], "tokens: expected a whole number from 1"],
  [["--device", "gpu"], "--device"],
  [["--host", "0.0.0.0", "--port", "0", "--threads", "1"], "it needs an API key"],
])("serve %j is refused in words", async (flags, message) => {
  const { code, errors } = await runCadre(["serve", "./library", ...flags], {
    cwd: folder,
    env: { ...process.env, CADRE_API_KEY: "" },
  });
  expect(code).toBe(2);
  expect(errors).toContain(message);
  expect(errors).not.toMatch(/\n\s+at /);
});

test("a library that is not there", async () => {
  const { code, errors } = await runCadre(["serve", "./no-such-library"], { cwd: folder });
  expect(code).toBe(3);
  expect(errors).toContain("no-such-library");
});
