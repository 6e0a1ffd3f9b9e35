import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { letterRows, linesOf, writeTinyBase } from "../../src/cadre/node/train-expert.test.helpers.js";
import { type EndedProcess, runProcess } from "../../src/core/node/run-process.test.helpers.js";

let folder = "";

/** The examples on a base of some thousand weights, whose answers are worth nothing; `packed.slow.test.ts` runs them on the real one. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-examples-"));
  await writeTinyBase(join(folder, "base"));
  await mkdir(join(folder, "more"));
  await writeFile(join(folder, "more", "letters.jsonl"), linesOf(letterRows(40)));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function compiled(name: string): string {
  return fileURLToPath(new URL(`../../dist/examples/${name}.js`, import.meta.url));
}

function run(name: string, ...flags: string[]): Promise<EndedProcess> {
  return runProcess(process.execPath, [compiled(name), ...flags], { cwd: folder });
}

test("first: an expert is trained, compared and asked", async () => {
  const { code, output, errors } = await run("first", "first", "base");
  expect({ code, errors }).toEqual({ code: 0, errors: "" });
  for (const name of ["base", "expert", "auto", "chance"]) {
    expect(output).toMatch(new RegExp(`^  ${name} +\\d+$`, "m"));
  }
  expect(output.match(/^→ (?:card|transfer|loan|password) \((?:right|it is \w+)\)$/gm)).toHaveLength(3);
}, 400_000);

test("classify: a label for each text, and a reason where there is none", async () => {
  const { code, output } = await run("classify", "first/library", "I was charged twice", "", "It crashes");
  expect(code).toBe(0);
  const lines = output.trimEnd().split("\n");
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatch(/^(card|transfer|loan|password)\t\d+ %\tintent\/bank-chat\tI was charged twice$/);
  expect(lines[1]).toMatch(/^\?\tclassify: .*empty/);
  expect(lines[2]).toMatch(/\tIt crashes$/);
}, 120_000);

test("add-task: a library learns another task, and its first expert stays as it was", async () => {
  const { code, output, errors } = await run("add-task", "first/library", "more", "A 17", "base");
  expect({ code, errors }).toEqual({ code: 0, errors: "" });
  expect(output).toMatch(/^1 experts\n2 experts; of those that were there, 0 changed\n.+, says .+\n$/);
}, 400_000);

test("train: every file becomes an expert, the comparison is printed; a folder without tasks is told without a stack", async () => {
  await mkdir(join(folder, "tasks"));
  await writeFile(join(folder, "tasks", "letters.jsonl"), linesOf(letterRows(60)));
  const numbers = Array.from({ length: 60 }, (_, index) => ({ text: `number ${index}`, label: `${index % 2}` }));
  await writeFile(join(folder, "tasks", "numbers.jsonl"), linesOf(numbers));
  const { code, output, errors } = await run("train", "tasks", "library", "base");
  expect({ code, errors }).toEqual({ code: 0, errors: "" });
  for (const name of ["base", "multitask", "expert", "auto"]) {
    expect(output).toMatch(new RegExp(`^${name} +\\d+\\.\\d \\(\\d+\\.\\d to \\d+\\.\\d\\)$`, "m"));
  }
  const nothing = await run("train", "no-such-folder", "library", "base");
  expect(nothing.code).toBe(1);
  expect(nothing.errors).toMatch(/no-such-folder/);
  expect(nothing.errors).not.toMatch(/\n\s+at /);
}, 400_000);

test("stream-server: text arrives, an empty question is the caller's mistake, a client that leaves harms nobody, and SIGTERM ends it", async () => {
  const child = spawn(process.execPath, [compiled("stream-server"), "first/library", "0"], { cwd: folder });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  let errors = "";
  child.stderr.on("data", (chunk) => {
    errors += String(chunk);
  });
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on("data", (chunk) => resolve(/http:\S+/.exec(String(chunk))?.[0] ?? ""));
    child.on("close", () => reject(new Error(errors)));
  });
  const asked = await fetch(url, { method: "POST", body: "I was charged twice" });
  expect(asked.status).toBe(200);
  await asked.text();

  const empty = await fetch(url, { method: "POST", body: "" });
  expect(empty.status).toBe(400);
  expect(await empty.text()).toMatch(/empty/);
  const long = await fetch(url, { method: "POST", body: "a".repeat(3_000_000) });
  expect(long.status).toBe(413);
  expect(await long.text()).toBe("expected at most 65536 bytes");

  const leaving = new AbortController();
  const left = fetch(url, { method: "POST", body: "I was charged twice", signal: leaving.signal });
  setTimeout(() => leaving.abort(), 20);
  await left.then((response) => response.text()).catch(() => undefined);
  const last = await fetch(url, { method: "POST", body: "still there?" });
  expect(last.status).toBe(200);

  child.kill("SIGTERM");
  await last.text();
  expect(await ended, errors).toBe(0);
  expect(errors).toBe("");
}, 120_000);
