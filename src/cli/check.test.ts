import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Ended, runCadre } from "./run-cadre.test.helpers.js";

const phrase = "the quick brown fox jumps over the lazy dog near the old river";
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-check-"));
  await mkdir(join(folder, "books"));
  const files = {
    "test.jsonl": [`{"text":"Once ${phrase} bank","label":"a"}`, '{"text":"Good film!"}', '{"text":"not there"}'].join(
      "\n",
    ),
    "books/book.txt": `A tale. ${phrase.toUpperCase()}.`,
    "books/cover.png": "png",
    "short.jsonl": '{"prompt":"good FILM","completion":"yes"}',
    "other.txt": "Something else altogether.",
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function check(...flags: string[]): Promise<Ended> {
  return runCadre(["check", ...flags], { cwd: folder });
}

test("help gives examples and the exit code", async () => {
  const { code, output } = await check("--help");
  expect(code).toBe(0);
  expect(output).toContain("$ cadre check --overlap train.jsonl --against test.jsonl --json");
  expect(output).toContain("Exit code: 0 when nothing overlaps, 3 when something does");
});

test("overlapping rows are counted and shown, with exit code 3", async () => {
  const { code, output } = await check("--overlap", "books", "short.jsonl", "--against", "test.jsonl");
  expect(code).toBe(3);
  expect(output).toMatch(/^test\.jsonl +3 +1 +1 +66\.7 %$/m);
  expect(output).toContain(`row 1: 1 of 3 runs, books/book.txt row 1: "${phrase}"`);
  expect(output).toContain('row 2: equal input, short.jsonl row 1: "good film"');
  expect(output).toContain("skipped: books/cover.png: expected a file that ends in");
  expect(output).toContain("2 of 3 evaluation rows overlap 2 training rows of 2 files");
});

test("--json lists every overlapping row", async () => {
  const { code, output } = await check("--json", "--overlap", "short.jsonl", "--against", "test.jsonl");
  expect(code).toBe(3);
  expect(JSON.parse(output)).toMatchObject({
    format: "cadre-overlap-check",
    formatVersion: 1,
    n: 13,
    evaluation: { rows: 3, files: [{ file: "test.jsonl", rows: 3, exactInputs: 1, nGrams: 0 }] },
    training: { rows: 1, files: 1, bytes: 41 },
    overlaps: [{ file: "test.jsonl", row: 2, kind: "exact-input", training: { file: "short.jsonl", row: 1 } }],
    skipped: [],
  });
});

test("without overlap the exit code is 0", async () => {
  const { code, output } = await check("--overlap", "other.txt", "--against", "test.jsonl");
  expect(code).toBe(0);
  expect(output).toContain("0 of 3 evaluation rows overlap 1 training rows of 1 files");
});

test.each([
  [["--overlap", "books", "--against", "test.jsonl", "--strict"], 3, "books/cover.png: expected a file that ends in"],
  [["--overlap", "books/cover.png", "--against", "test.jsonl"], 3, "books/cover.png: expected a file that ends in"],
  [["--overlap", "absent", "--against", "test.jsonl"], 3, "cannot read absent"],
  [["--overlap", "books"], 2, "expected either PATH of your tasks, or --overlap TRAIN… with --against EVALUATION…"],
  [["--overlap", "books", "--against", "test.jsonl", "--html", "a.html", "--", "books"], 2, "expected either PATH"],
  [[], 2, "expected either PATH"],
])("%j is refused", async (flags, expected, message) => {
  const { code, errors } = await check(...flags);
  expect(code).toBe(expected);
  expect(errors).toContain(message);
  expect(errors).not.toContain("    at ");
});
