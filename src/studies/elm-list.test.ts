import { expect, test } from "vitest";
import { parseElmList } from "./elm-list.js";

const set = (name: string, source: string) => ({
  ...{ name, source, rows: "ai2_arc", test: ["test.json"], templates: "templates.yaml", use: ["one"] },
});
const list = (sources: { readonly train?: string; readonly test?: string; readonly name?: string }) => ({
  ...{ format: "cadre-elm-tasks", formatVersion: 1 },
  train: [
    { ...set("a", sources.train ?? "A"), train: ["train.json"] },
    { ...set("b", "B"), train: ["train.json"] },
  ],
  development: [set("c", "C")],
  test: [set(sources.name ?? "d", sources.test ?? "D")],
});

test("roles have different source data sets and all sets different names", () => {
  expect(parseElmList(list({}), "list").test.map(({ name }) => name)).toEqual(["d"]);
  expect(() => parseElmList(list({ test: "B" }), "list")).toThrow(/b: expected .* different source data sets, found B/);
  expect(() => parseElmList(list({ test: "C" }), "list")).toThrow(/different source data sets, found C/);
  expect(() => parseElmList(list({ name: "a" }), "list")).toThrow(/different names, found "a" twice/);
  expect(() => parseElmList({ format: "other" }, "list.yaml")).toThrow(/list\.yaml/);
});
