import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import fc from "fast-check";
import { parquetWriteBuffer } from "hyparquet-writer";
import Papa from "papaparse";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CadreError } from "../../core/errors.js";
import { MAX_LISTED_PROBLEMS, MAX_ROW_BYTES, SPLITS, type UserTask } from "../user-task.js";
import { readParquetRows } from "./parquet-rows.js";
import { type ReadUserTasksOptions, readUserTasks } from "./read-user-tasks.js";

let root = "";
let folders = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "cadre-user-tasks-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** A new folder with files; contents that are objects are written as JSON. */
async function write(files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  const folder = join(root, String(folders++));
  await mkdir(folder);
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}

async function readFile(
  name: string,
  content: string | Uint8Array,
  options: ReadUserTasksOptions = {},
): Promise<UserTask> {
  const { tasks } = await readUserTasks(join(await write({ [name]: content }), name), options);
  const [task] = tasks;
  if (task === undefined) throw new Error("no task");
  return task;
}

/** Line, input and first target of every good row, in the order of the file. */
function rowsOf({ splits }: UserTask): (readonly [number, string, string | undefined])[] {
  return SPLITS.flatMap((split) => splits[split])
    .sort((a, b) => a.instance - b.instance)
    .map(({ place, input, targets }) => [place.line, input, targets[0]] as const);
}

const problemsOf = ({ problems }: UserTask) => problems.map(({ line, kind }) => [line, kind]);
const jsonl = (...rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).join("\n");

/** A Parquet file of optional columns of texts. */
function parquet(columns: Readonly<Record<string, readonly (string | null)[]>>, rowGroupSize = 7): Uint8Array {
  const columnData = Object.entries(columns).map(([name, data]) => ({
    name,
    data: [...data],
    type: "STRING" as const,
    nullable: true,
  }));
  return new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize }));
}

test("JSONL with a byte order mark, CRLF, empty lines and no last line end", async () => {
  const text = `\ufeff${jsonl({ text: "ä", label: "x" })}\r\n\r\n  \n${jsonl({ text: "b\u2028c", label: 1 })}`;
  const task = await readFile("task 🎉.jsonl", text);
  expect(task.name).toBe("task 🎉");
  expect(rowsOf(task)).toEqual([
    [1, "ä", "x"],
    [4, "b\u2028c", "1"],
  ]);
  expect(task.problems).toEqual([]);
});

test("files whose lines end with carriage returns alone are read, with their lines", async () => {
  const mac = (text: string) => text.replaceAll("\n", "\r");
  const rows = jsonl({ text: "a", label: "x" }, { text: "b" }, { text: "c", label: "y" });
  const list = JSON.stringify([{ text: "a", label: "x" }, { text: "b" }, { text: "c", label: "y" }], null, 0);
  const table = 'text,label\na,x\n"b\n\n"\nc,y\n';
  for (const [name, content] of [
    ["a.jsonl", rows],
    ["b.csv", `text,label\na,x\nb\nc,y\n`],
    ["c.tsv", "text\tlabel\na\tx\nb\nc\ty"],
    ["d.json", list.replaceAll("},{", "},\n{")],
    ["e.csv", table],
  ] as const) {
    const [read, expected] = [await readFile(name, mac(content)), await readFile(name, content)];
    expect(rowsOf(read), name).toEqual(rowsOf(expected));
    expect(problemsOf(read), name).toEqual(problemsOf(expected));
    expect(rowsOf(read), name).toHaveLength(2);
  }
});

test("a carriage return within a line of a file with line feeds ends no line", async () => {
  expect(rowsOf(await readFile("a.tsv", "text\tlabel\na\rb\tx\n"))).toEqual([[2, "a\rb", "x"]]);
  expect(rowsOf(await readFile("a.jsonl", `${jsonl({ text: "a", label: "x" })}\r`))).toEqual([[1, "a", "x"]]);
});

test("bad lines of JSONL are counted with their lines, and the others are read", async () => {
  const bytes = Buffer.concat([
    Buffer.from(`${jsonl({ text: "a", label: "x" })}\n{"text": "b", \n[1]\nnull\n{"text":"\0","label":"x"}\n`),
    Buffer.from([0x7b, 0x22, 0xe9, 0x22, 0x7d, 0x0a]),
    Buffer.from(`{"text":"${"y".repeat(10_000_000)}","label":"x"}\n`),
    Buffer.from(
      `${jsonl({ text: "c", label: { a: 1 } })}\n${'{"a":'.repeat(100_000)}\n${jsonl({ text: "d", label: "x" })}\n`,
    ),
    Buffer.from(`{"text":"${"z".repeat(MAX_ROW_BYTES)}`),
  ]);
  const task = await readFile("a.ndjson", bytes);
  expect(rowsOf(task).map(([line]) => line)).toEqual([1, 10]);
  expect(problemsOf(task)).toEqual([
    [2, "syntax"],
    [3, "syntax"],
    [4, "syntax"],
    [5, "encoding"],
    [6, "encoding"],
    [7, "too-long"],
    [8, "wrong-value"],
    [9, "syntax"],
    [11, "too-long"],
  ]);
  expect(task.problems[0]?.problem).toMatch(/column 15/);
  expect(task.problemCounts).toEqual({ syntax: 4, encoding: 2, "too-long": 2, "wrong-value": 1 });
});

test("strict stops at the first bad row, named with file and line", async () => {
  const text = `${jsonl({ text: "a", label: "x" }, { text: "b" }, { text: "c" })}`;
  await expect(readFile("a.jsonl", text, { strict: true })).rejects.toMatchObject({
    code: "invalid-file",
    message: expect.stringMatching(/a\.jsonl: line 2: expected a field that holds the target/),
    details: { line: 2, kind: "missing-field" },
  });
});

test("problems are listed up to a limit, but all counted", async () => {
  const task = await readFile("a.jsonl", "{\n".repeat(MAX_LISTED_PROBLEMS + 5));
  expect(task.problems).toHaveLength(MAX_LISTED_PROBLEMS);
  expect(task.problemCounts).toEqual({ syntax: MAX_LISTED_PROBLEMS + 5 });
  expect(task.instances).toBe(0);
});

test("a JSON list: rows by the lines on which they begin", async () => {
  const text =
    '\n[\n  {"text": "a\\"]}", "label": ["x", "y"]},\n  {"text": "b",\n   "label": {}}, 5,\n\n  {"text": "c", "label": "z"}\n]\n';
  const task = await readFile("a.json", text);
  expect(rowsOf(task)).toEqual([
    [3, 'a"]}', "x"],
    [7, "c", "z"],
  ]);
  expect(problemsOf(task)).toEqual([
    [4, "wrong-value"],
    [5, "syntax"],
  ]);
  const long = await readFile(
    "b.json",
    JSON.stringify([
      { text: "y".repeat(MAX_ROW_BYTES), label: "x" },
      { text: "a", label: "x" },
    ]),
  );
  expect(problemsOf(long)).toEqual([[1, "too-long"]]);
});

test("CSV: quotes, line ends within cells, CRLF, ragged rows, a last line without end", async () => {
  const text =
    '\ufeffText, Label ,id\r\n"a, ""b""\r\nc",x,1\r\n\r\nd,x\r\ne,x,1,2\r\n5" screen,x,1\r\n"f" ,x,1\r\n"tail ""g""",,1\r\nh\0,x,1\r\n,x,1\r\ni,y,1';
  const task = await readFile("a.csv", text);
  expect(rowsOf(task)).toEqual([
    [2, 'a, "b"\nc', "x"],
    [7, '5" screen', "x"],
    [8, "f", "x"],
    [12, "i", "y"],
  ]);
  expect(problemsOf(task)).toEqual([
    [5, "columns"],
    [6, "columns"],
    [9, "empty-target"],
    [10, "encoding"],
    [11, "empty-input"],
  ]);
  expect(task.unusedFields).toEqual(["id"]);
});

test("CSV: a quote that is not closed costs its own line, wherever the next quote stands", async () => {
  const lines = ["text,label", '"a,x', "b,x", '"c, d",x', '"e"f,x', '"g', 'h",y', "i,y", '"j,y'];
  const task = await readFile("a.csv", lines.join("\n"));
  expect(rowsOf(task)).toEqual([
    [3, "b", "x"],
    [4, "c, d", "x"],
    [6, "g\nh", "y"],
    [8, "i", "y"],
  ]);
  expect(problemsOf(task)).toEqual([
    [2, "syntax"],
    [5, "syntax"],
    [9, "syntax"],
  ]);
  const open = `text,label\n"open,x\n${`${"b".repeat(100)},y\n`.repeat(20_000)}c,z\n`;
  const long = await readFile("b.csv", open);
  expect(problemsOf(long)).toEqual([[2, "syntax"]]);
  expect(long.instances).toBe(20_001);
});

test("CSV: semicolons and tabs as delimiters are seen from the first line", async () => {
  expect(rowsOf(await readFile("a.csv", "text;label\na, b;x\n"))).toEqual([[2, "a, b", "x"]]);
  expect(rowsOf(await readFile("b.csv", "\ntext\tlabel\na, b\tx\n"))).toEqual([[3, "a, b", "x"]]);
});

test("TSV: a line is a row, and quotes count only in pairs around a cell", async () => {
  const text = 'text\tlabel\n"a ""b"""\tx\n"Great" film\ty\n"open\tx\nclosed"\ty\n\n';
  expect(rowsOf(await readFile("a.TSV", text))).toEqual([
    [2, 'a "b"', "x"],
    [3, '"Great" film', "y"],
    [4, '"open', "x"],
    [5, 'closed"', "y"],
  ]);
});

test("Parquet: several row groups, numbers, lists and nothing", async () => {
  const columnData = [
    { name: "text", data: ["a", "b", null, "d"], type: "STRING" as const },
    { name: "label", data: [1n, 2n, 3n, 2n ** 60n], type: "INT64" as const },
    {
      name: "choices",
      data: [
        ["1", "2"],
        ["2", "3"],
        ["1", "2"],
        ["x", String(2n ** 60n)],
      ],
      type: "JSON" as const,
    },
    { name: "when", data: [0, 1, 2, 3].map((day) => new Date(86_400_000 * day)), type: "TIMESTAMP" as const },
  ];
  const task = await readFile("a.parquet", new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: 2 })));
  expect(rowsOf(task)).toEqual([
    [1, "a", "1"],
    [2, "b", "2"],
    [4, "d", String(2n ** 60n)],
  ]);
  expect(problemsOf(task)).toEqual([[3, "empty-input"]]);
  expect(task.templates[0]?.choicesFrom).toBe("rows");
  expect(task.unusedFields).toEqual(["when"]);
});

test.each<[string, string | Uint8Array, string, RegExp]>([
  ["empty.jsonl", "", "invalid-file", /expected rows, found none/],
  ["blank.csv", "\n \n", "invalid-file", /expected rows, found none/],
  ["header.csv", "text,label\n", "invalid-file", /expected rows, found none/],
  ["list.json", "[]", "invalid-file", /expected rows, found none/],
  ["object.json", '{"Instances":[]}', "unsupported", /expected a list of rows/],
  ["broken.json", '[\n{"text":}]', "invalid-file", /line 2, column 9/],
  ["latin.json", Buffer.from([0x5b, 0x22, 0xe9]), "invalid-file", /UTF-8/],
  ["wide.csv", Buffer.from("\ufefftext,label\n", "utf16le"), "invalid-file", /found UTF-16/],
  ["twice.csv", "text,label,text\n", "invalid-file", /column "text" occurs twice/],
  ["open.csv", '"text,label\na,b\n', "invalid-file", /line 1: expected quotes in pairs/],
  ["empty.parquet", "", "invalid-file", /expected a Parquet file/],
  ["text.parquet", "PAR1 is not enough PAR1", "invalid-file", /expected a Parquet file/],
  ["plain.txt", "text", "unsupported", /ends in \.jsonl/],
])("%s is refused", async (name, content, code, message) => {
  await expect(readFile(name, content)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
});

const small = jsonl({ text: "a", label: "x" }, { text: "b", label: "y" });

test("a folder: files, folders with splits, what is skipped and what fails", async () => {
  const folder = await write({
    "b.jsonl": small,
    "a.csv": "text,label\nq,r\n",
    "notes.md": "#",
    ".hidden.jsonl": small,
    "data.v1/train.jsonl": jsonl({ text: "1", label: "x" }, { text: "2", label: "x" }, { text: "3", label: "y" }),
    "data.v1/dev.csv": "text,label\n4,y\n",
    "data.v1/Test.tsv": "text\tlabel\n5\ty\n",
    "data.v1/readme.txt": "",
    "data.v1/other.jsonl": small,
    "shards/train-00000-of-00002.jsonl": small,
    "shards/train-00001-of-00002.jsonl": jsonl({ text: "c", label: "x" }),
    "two/train.jsonl": small,
    "two/train.csv": "text,label\na,b\n",
    "deep/inner/a.jsonl": small,
    "library/library.json": "{}",
    "library/a.jsonl": small,
    "broken.csv": "text,text\n",
    "zero.jsonl": "",
    "b.json": `[${small.replace("\n", ",")}]`,
  });
  await symlink(join(folder, "nowhere"), join(folder, "link.jsonl"));
  execFileSync("mkfifo", [join(folder, "pipe.jsonl")]);
  const { tasks, failed, skipped } = await readUserTasks(folder);
  expect(tasks.map(({ name, instances, splitFrom }) => [name, instances, splitFrom])).toEqual([
    ["a", 1, "made"],
    ["b", 2, "made"],
    ["data.v1", 5, "files"],
    ["shards", 3, "files"],
  ]);
  expect(tasks[2]?.splits.validation.map(({ input }) => input)).toEqual(["4"]);
  expect(tasks[2]?.splits.test.map(({ input }) => input)).toEqual(["5"]);
  expect(tasks[3]?.splitsMade).toEqual(["validation", "test"]);
  expect(failed.map(({ name, reason }) => [name, reason.replace(`${folder}/`, "")])).toEqual([
    ["b", expect.stringMatching(/^b\.jsonl: .*found b in .*b\.json too/)],
    ["broken", expect.stringMatching(/^broken\.csv: line 1/)],
    ["zero", "zero.jsonl: expected rows, found none"],
    ["two", expect.stringMatching(/^two: expected one file for train, found train\.csv, train\.jsonl/)],
  ]);
  expect(skipped.map(({ file }) => file.slice(folder.length + 1)).sort()).toEqual([
    "data.v1/other.jsonl",
    "data.v1/readme.txt",
    "deep",
    "link.jsonl",
    "notes.md",
    "pipe.jsonl",
  ]);
  await expect(readUserTasks(join(folder, "broken.csv"), { strict: true })).rejects.toMatchObject({
    code: "invalid-file",
  });
  expect(skipped.find(({ file }) => file.endsWith("other.jsonl"))?.reason).toMatch(
    /the folder is one task, as it holds train\.\w+: .* move it if it is a task of its own/,
  );
  await expect(readUserTasks(join(folder, "data.v1"), { strict: true })).rejects.toMatchObject({
    code: "unsupported",
    message: expect.stringMatching(/strict reading skips nothing, found something else \(and 1 more\)/),
  });
  const [task] = (await readUserTasks(join(folder, "data.v1"))).tasks;
  expect(task).toEqual(tasks[2]);
  await expect(readUserTasks(join(folder, "library"))).rejects.toThrow("found a library of experts");
  await expect(readUserTasks(join(folder, "deep", "none"))).rejects.toMatchObject({ code: "not-found" });
  await expect(readUserTasks(join(folder, "library", "library.json"))).rejects.toMatchObject({ code: "unsupported" });
  await expect(readUserTasks(await write({ "a.md": "" }))).rejects.toThrow(
    /expected at least one task .*found none\n .*a\.md/,
  );
  expect((await readUserTasks([join(folder, "a.csv"), join(folder, "data.v1")])).tasks).toHaveLength(2);
});

test("a split that a row claims must be that of its file", async () => {
  const folder = await write({
    "t/train.jsonl": jsonl({ text: "a", label: "x", split: "train" }, { text: "b", label: "x", split: "test" }),
    "t/test.jsonl": jsonl({ text: "c", label: "x" }),
  });
  const [task] = (await readUserTasks(folder)).tasks;
  expect(task && problemsOf(task)).toEqual([[2, "split"]]);
  expect(task?.splits.test).toHaveLength(1);
});

test("reading stops when it is told to", async () => {
  const folder = await write({ "a.jsonl": small });
  await expect(readUserTasks(folder, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
});

/** Texts with everything that formats must escape; without what no row may hold or what is taken off. */
const text = fc
  .array(
    fc.oneof(
      fc.constantFrom('"', ",", ";", "\n", "\\", "'", "|||", "{{", "é", "🎉", " ", "a", "b", "#"),
      fc.string({ maxLength: 3 }),
    ),
    {
      minLength: 1,
      maxLength: 8,
    },
  )
  .map((parts) =>
    parts
      .join("")
      .replace(/[\0\r\t]/g, "")
      .trim()
      .normalize("NFC"),
  )
  .filter((value) => value !== "" && !/\p{Surrogate}/u.test(value) && !value.startsWith("\ufeff"));

test("rows written in any format give the same task", { timeout: 180_000 }, async () => {
  const row = fc.record({ input: text, target: text });
  await fc.assert(
    fc.asyncProperty(
      fc.array(row, { minLength: 1, maxLength: 20 }),
      fc.integer({ min: 0, max: 1000 }),
      async (rows, seed) => {
        const flat = rows.map(({ input, target }) => ({
          input: input.replaceAll("\n", " "),
          target: target.replaceAll("\n", " ").trim(),
        }));
        const table = (delimiter: string, newline: string, of = rows) => Papa.unparse(of, { delimiter, newline });
        const columns = { input: rows.map(({ input }) => input), target: rows.map(({ target }) => target) };
        const read = async (name: string, content: string | Uint8Array) => {
          const task = await readFile(name, content, { seed });
          expect(task.problems).toEqual([]);
          const strip = ({ place: _, ...example }: UserTask["splits"]["train"][number]) => example;
          return { ...task, files: [], splits: SPLITS.map((split) => task.splits[split].map(strip)) };
        };
        const expected = await read("a.jsonl", rows.map((one) => JSON.stringify(one)).join("\n"));
        expect(expected.splits.flat().sort((a, b) => a.instance - b.instance)).toMatchObject(
          rows.map(({ input, target }) => ({ input, targets: [target] })),
        );
        for (const [name, content] of [
          ["a.json", JSON.stringify(rows, undefined, 2)],
          ["a.csv", table(",", "\n")],
          ["a.csv", table(";", "\r\n")],
          ["a.parquet", parquet(columns)],
        ] as const) {
          expect(await read(name, content)).toEqual(expected);
        }
        expect(await read("a.tsv", table("\t", "\n", flat))).toEqual(await read("a.jsonl", jsonl(...flat)));
      },
    ),
    { numRuns: 12 },
  );
});

const samples: Readonly<Record<string, Uint8Array>> = {
  jsonl: Buffer.from(
    jsonl(...Array.from({ length: 20 }, (_, index) => ({ text: `t ${index}`, label: ["x", "y"], split: "train" }))),
  ),
  json: Buffer.from(
    JSON.stringify(
      Array.from({ length: 20 }, (_, index) => ({ text: `t ${index}`, label: index % 2 })),
      undefined,
      1,
    ),
  ),
  csv: Buffer.from(`text,label\n${'"a ""b"",\nc",x\nd,y\n'.repeat(10)}`),
  tsv: Buffer.from(`text\tlabel\n${'"a"\tx\n'.repeat(20)}`),
};
const edits = fc.array(
  fc.record({
    place: fc.nat({ max: 2000 }),
    byte: fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(0, 10, 13, 34, 44, 91, 123, 255)),
  }),
  { minLength: 1, maxLength: 12 },
);
const cut = fc.option(fc.nat({ max: 2000 }));

function damage(
  sample: Uint8Array,
  changes: readonly { place: number; byte: number }[],
  end: number | null,
): Uint8Array {
  const bytes = Uint8Array.from(sample);
  for (const { place, byte } of changes) bytes[place % bytes.length] = byte;
  return end === null ? bytes : bytes.subarray(0, end % bytes.length);
}

test("hostile files give a task or an error in words, never anything else", async () => {
  const kind = fc.constantFrom(...Object.keys(samples));
  await fc.assert(
    fc.asyncProperty(kind, edits, cut, (name, changes, end) =>
      expectWords(`f.${name}`, damage(samples[name] ?? new Uint8Array(), changes, end)),
    ),
    { numRuns: 120 },
  );
  await fc.assert(
    fc.asyncProperty(kind, fc.uint8Array({ maxLength: 300 }), (name, bytes) => expectWords(`f.${name}`, bytes)),
    { numRuns: 100 },
  );
});

test("hostile Parquet files too, and those on which the decoder would never end", { timeout: 180_000 }, async () => {
  const sample = parquet({
    text: Array.from({ length: 20 }, (_, index) => `text ${index}`),
    label: Array.from({ length: 20 }, () => "x"),
  });
  const read = async (path: string) => {
    let count = 0;
    for await (const rows of readParquetRows(path, { groupSeconds: 5 })) count += rows.length;
    return count;
  };
  const folder = await write({ "sound.parquet": sample });
  expect(await read(join(folder, "sound.parquet"))).toBe(20);
  await expect(read("test/fixtures/parquet/endless.parquet")).rejects.toMatchObject({
    code: "invalid-file",
    message: expect.stringMatching(/endless\.parquet: expected a sound Parquet file/),
  });
  await fc.assert(
    fc.asyncProperty(edits, cut, async (changes, end) => {
      const path = join(await write({ "f.parquet": damage(sample, changes, end) }), "f.parquet");
      await read(path).catch((error: unknown) => {
        if (!CadreError.isInstance(error)) throw error;
        expect(["invalid-file", "unsupported"]).toContain(error.code);
        expect(error.message).toContain("f.parquet");
      });
    }),
    // A place in the file that no number holds: Node refuses it as an argument.
    { numRuns: 12, examples: [[[{ place: 588, byte: 128 }], null]] },
  );
});

async function expectWords(name: string, bytes: Uint8Array): Promise<void> {
  try {
    const task = await readFile(name, bytes);
    expect(task.problems.every(({ file, line }) => basename(file) === name && line >= 1)).toBe(true);
  } catch (error) {
    if (!CadreError.isInstance(error)) throw error;
    expect(["invalid-file", "unsupported"]).toContain(error.code);
    expect(error.message).toContain(name);
  }
}
