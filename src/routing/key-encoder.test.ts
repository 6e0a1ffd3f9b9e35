import { expect, test } from "vitest";
import { describeKeyEncoder, expectSameEncoder, parseKeyEncoder } from "./key-encoder.js";

const identity = { id: "t5/mean/256", width: 8, hash: "a".repeat(64) };

test("a record survives JSON with foreign fields", () => {
  const record = describeKeyEncoder(identity, "choice_instance");
  expect(parseKeyEncoder(JSON.parse(JSON.stringify({ ...record, note: "x" })))).toMatchObject(record);
});

test("a record without its fields is refused, naming them", () => {
  expect(() => parseKeyEncoder({ ...identity, format: "haiku" })).toThrow(/format/);
  expect(() => parseKeyEncoder({ width: 0 })).toThrow(/id[\s\S]*width/);
});

test("another encoder is refused, naming what differs", () => {
  expect(() => expectSameEncoder(identity, { ...identity })).not.toThrow();
  expect(() => expectSameEncoder(identity, { ...identity, id: "bert/mean/256", width: 4 })).toThrow(
    /expected id t5\/mean\/256, found bert\/mean\/256; width 8, found 4; open the encoder/,
  );
  expect(() => expectSameEncoder(identity, { ...identity, hash: "b".repeat(64) })).toThrow(/hash a+, found b+/);
});
