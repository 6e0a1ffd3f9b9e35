import fc from "fast-check";
import { expect, test } from "vitest";
import { cutText, printable, quote } from "./row-values.js";

test("what a terminal would obey is written out", () => {
  expect(quote("a\u001b[31mb\u009b2J\u202ec\u2028\n")).toBe('"a\\u001b[31mb\\u009b2J\\u202ec\\u2028\\n"');
  expect(printable("a\u001b]8;;b")).toBe("a\\u001b]8;;b");
  expect(printable("äöü 日本 👍🏽 👨‍👩‍👧")).toBe("äöü 日本 👍🏽 👨‍👩‍👧");
});

test("a text is cut behind whole characters, and only where it is longer", () => {
  expect(cutText("👍👍👍", 2)).toBe("👍👍…");
  expect(cutText("👍👍👍", 3)).toBe("👍👍👍");
  expect(cutText("a👍b", 2)).toBe("a👍…");
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 20 }), fc.integer({ min: 1, max: 12 }), (text, most) => {
      const characters = [...text];
      const cut = cutText(text, most);
      expect(cut).toBe(characters.length > most ? `${characters.slice(0, most).join("")}…` : text);
      expect(quote(text, { most })).not.toMatch(/[\p{Cc}\p{Cs}]/u);
    }),
  );
});
