import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readRows } from "./read-rows.js";
import { findRowFiles } from "./read-rows-files.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-rows-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function rowsOf(name: string, content: string | Uint8Array): Promise<(readonly [number, string])[]> {
  const path = join(folder, name);
  await writeFile(path, content);
  const rows: (readonly [number, string])[] = [];
  let bytes = 0;
  for await (const batch of readRows(path)) {
    bytes += batch.bytes;
    rows.push(...batch.rows.map(({ number, text }) => [number, text] as const));
  }
  expect(bytes).toBe(Buffer.byteLength(content));
  return rows;
}

test("JSON lines: all strings but answers and bookkeeping, numbered by line", async () => {
  const lines = [
    '\ufeff{"id":"x1","premise":"It rains.","hypothesis":"It is wet.","label":"yes"}\r',
    "",
    '{"prompt":"Say hello.","completion":"hello"}',
    '{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}],"n":3,"Answer":"no"}',
  ];
  expect(await rowsOf("a.jsonl", lines.join("\n"))).toEqual([
    [1, "It rains.\nIt is wet."],
    [3, "Say hello."],
    [4, "Hi\nHello"],
  ]);
});

test("instruction files: the inputs of the instances alone, also beside Python's NaN", async () => {
  const text =
    '{"Definition":["Do it."],"URL":[NaN,-Infinity],"Instances":[{"input":"say \\"NaN\\" now","output":["x"]}]}';
  expect(await rowsOf("a.json", text)).toEqual([[1, 'say "NaN" now']]);
});

test("lists of objects, bare or as examples", async () => {
  expect(await rowsOf("b.json", '[{"question":"a?","answer":"b"},{"question":"c?"}]')).toEqual([
    [1, "a?"],
    [2, "c?"],
  ]);
  expect(await rowsOf("c.json", '{"canary":"x","examples":[{"input":"a","target":"b"}]}')).toEqual([[1, "a"]]);
});

test("tables: by the names of the first row, or all cells where it names nothing", async () => {
  const named = 'premise,hypothesis,label\n"It rains, and\nhow.",It is wet.,yes\nIt snows.,It is hot.,no\n';
  expect(await rowsOf("named.csv", named)).toEqual([
    [2, "It rains, and\nhow.\nIt is wet."],
    [4, "It snows.\nIt is hot."],
  ]);
  expect(await rowsOf("mmlu.csv", 'What is "2"?,1,2,3,4,B\nWho?,a b,b c,c d,d e,A\n'.replaceAll('"2"', "2"))).toEqual([
    [1, "What is 2?\n1\n2\n3\n4\nB"],
    [2, "Who?\na b\nb c\nc d\nd e\nA"],
  ]);
  expect(await rowsOf("mgsm.tsv", "How many birds?\t12\nHow many cats?\t3\n")).toEqual([
    [1, "How many birds?\n12"],
    [2, "How many cats?\n3"],
  ]);
});

test("a COPA corpus: premise and alternatives", async () => {
  const item = '<item id="7" asks-for="cause" most-plausible-alternative="1"><p>P.</p><a1>A.</a1><a2>B.</a2></item>';
  expect(await rowsOf("copa.xml", `<copa-corpus version="1.0">${item}</copa-corpus>`)).toEqual([[7, "P.\nA.\nB."]]);
});

test("plain text: paragraphs where empty lines part them or lines are wrapped, else lines", async () => {
  expect(await rowsOf("a.txt", "one\ntwo\r\n\n \nthree\nfour")).toEqual([
    [1, "one\ntwo"],
    [5, "three\nfour"],
  ]);
  const lines = Array.from({ length: 50 }, (_, index) => "word ".repeat(1 + (index % 9)).trim());
  const expected = lines.map((line, index) => [index + 1, line]);
  expect(await rowsOf("b.txt", `${lines.join("\n")}\n\n`)).toEqual(expected);
  const wrapped = Array.from({ length: 50 }, (_, index) => "word ".repeat(12 + (index % 3)).trim()).join("\n");
  expect(await rowsOf("c.txt", wrapped)).toEqual([[1, wrapped]]);
});

test("lines, paragraphs and characters go on over the ends of what is read at once", async () => {
  const paragraphs = Array.from({ length: 20_000 }, (_, index) => `é€🙂 words ${index}\n${"🙂".repeat(index % 90)}x`);
  const rows = await rowsOf("large.txt", paragraphs.join("\n\n"));
  expect(rows).toEqual(paragraphs.map((text, index) => [3 * index + 1, text]));
});

test.each([
  ["empty.jsonl", "", "unsupported", /holds no rows/],
  ["blank.txt", "\n \n", "unsupported", /holds no rows/],
  ["empty.json", "", "unsupported", /holds no rows/],
  ["none.json", '{"Instances":[]}', "unsupported", /holds no rows/],
  ["labels.json", '["yes","no"]', "unsupported", /expected Instances, examples or a list of objects/],
  ["page.html", "<p>", "unsupported", /expected a file that ends in \.jsonl, \.ndjson, \.json, \.txt/],
  ["latin.txt", Uint8Array.of(99, 97, 102, 0xe9), "unsupported", /expected UTF-8 text/],
  ["binary.jsonl", Uint8Array.of(0x7f, 0, 1, 2), "unsupported", /found a binary file/],
  ["broken.jsonl", '{"a":"b"}\n{"a":', "invalid-file", /broken\.jsonl: line 2: expected a JSON object/],
  ["list.jsonl", "[1]", "invalid-file", /line 1: expected a JSON object, found \[1\]/],
  ["broken.json", '{\n "Instances": [}', "invalid-file", /line 2, column 16/],
  ["instances.json", '{"Instances":[{"input":3}]}', "invalid-file", /Instances\[0\]\.input/],
  ["quotes.csv", 'a,b\n"x,y\n', "invalid-file", /quotes\.csv: line 2: expected quotes in pairs/],
  ["empty.csv", "", "unsupported", /holds no rows/],
  ["deep.jsonl", `{"a":${"[".repeat(40)}${"]".repeat(40)}}`, "invalid-file", /nested deeper than 32 levels/],
])("%s is refused", async (name, content, code, message) => {
  await expect(rowsOf(name, content)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
});

test("folders are walked by name, without hidden files and links to folders", async () => {
  const root = join(folder, "walk");
  await mkdir(join(root, "b"), { recursive: true });
  for (const name of ["c.txt", "a.txt", "b/z.txt", ".hidden"]) await writeFile(join(root, name), "text");
  await symlink(root, join(root, "again"));
  const files = await findRowFiles([join(root, "c.txt"), root]);
  expect(files.map(({ path, named }) => [path.slice(root.length), named])).toEqual([
    ["/c.txt", true],
    ["/a.txt", false],
    ["/b/z.txt", false],
    ["/c.txt", false],
  ]);
  expect(files.every(({ bytes }) => bytes === 4)).toBe(true);
  await expect(findRowFiles([join(root, "absent")])).rejects.toMatchObject({ code: "not-found" });
});
