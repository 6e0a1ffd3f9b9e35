import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addTinyExperts } from "../cadre/node/tiny-library.test.helpers.js";
import { type Ended, runCadre } from "./run-cadre.test.helpers.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-cli-ask-"));
  const targets = ["q", "v"];
  await addTinyExperts(
    folder,
    [
      {
        name: "tickets",
        delta: { kind: "lora", config: { rank: 2, alpha: 2, targets } },
        choices: ["billing", "technical"],
        keys: ["I was charged twice", "The app crashes", "Where is my invoice"],
      },
      { name: "titles", delta: { kind: "lora", config: { rank: 2, alpha: 2, targets } } },
    ],
    { keyTexts: "stored" },
  );
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

function ask(text: string, ...flags: string[]): Promise<Ended> {
  return runCadre(["ask", "library", text, "--threads", "1", ...flags], { cwd: folder });
}

test("labels that are known are chosen from, and the trace says why in words", async () => {
  const { code, output, errors } = await ask("I was charged twice", "--trace");
  expect({ code, errors }).toEqual({ code: 0, errors: "" });
  const [choice, first, second, ...rest] = output.split("\n");
  expect(["billing", "technical"]).toContain(choice);
  expect(first).toMatch(/^ {2}"(billing|technical)" +\d+\.\d %$/);
  expect(second).toMatch(/^ {2}"(billing|technical)" +\d+\.\d %$/);
  expect(first).toContain(`"${choice}"`);
  expect(rest.join("\n")).toMatch(/Answered by "tickets": .*\n {4}\d\.\d\d {2}"I was charged twice"/);

  const json = await ask("I was charged twice", "--json", "--experts", "tickets", "--choices", "yes, no,maybe");
  expect(JSON.parse(json.output)).toMatchObject({
    scores: [{ choice: "yes" }, { choice: "no" }, { choice: "maybe" }],
    routing: { by: "request", experts: [{ name: "tickets", weight: 1 }] },
    inputTokensCut: 0,
  });
}, 300_000);

test("an expert without labels writes, a list mixes, and the base answers when asked", async () => {
  const written = await ask("Some article", "--experts", "titles", "--max-tokens", "5", "--json");
  expect(JSON.parse(written.output)).toMatchObject({
    outputs: [{ finish: expect.stringMatching(/end|length/) }],
    routing: { by: "request", experts: [{ name: "titles" }] },
  });
  const drawn = ["--experts", "titles=0.5,tickets=0.5", "--temperature", "1", "--seed", "3", "--max-tokens", "5"];
  const [one, same] = [await ask("Some article", ...drawn), await ask("Some article", ...drawn, "--json")];
  expect(one.code).toBe(0);
  expect(one.output).toBe(`${JSON.parse(same.output).text}\n`);
  const base = await ask("Some article", "--experts", "base", "--choices", "a,b", "--trace");
  expect(base.output).toContain("The base answered by itself");
}, 300_000);

test("slips are answered in words", async () => {
  const cases: readonly [string, string[], number, string][] = [
    ["text", ["--experts", "tikets"], 3, 'did you mean "tickets"?'],
    ["text", ["--experts", "tickets=half"], 2, "a list as tickets=0.5,refunds=0.5"],
    ["text", ["--choices", "one"], 2, 'got only "one"'],
    [" ", [], 2, "expected a text, got an empty one"],
    ["text", ["--max-tokens", "0"], 2, "--max-tokens: expected a whole number from 1"],
  ];
  for (const [text, flags, code, message] of cases) {
    const ended = await ask(text, ...flags);
    expect(ended.errors, flags.join(" ")).toContain(message);
    expect(ended, flags.join(" ")).toMatchObject({ code, output: "" });
  }
}, 300_000);
