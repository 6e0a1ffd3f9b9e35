import fc from "fast-check";
import { expect, test } from "vitest";
import { expertId, expertName, isExpertId, isExpertName, newExpertName, normalizeName, slugOf } from "./expert-name.js";

test.each([
  ["Billing questions", "billing-questions"],
  ["  Élan vital! ", "elan-vital"],
  ["Größe ﬁx", "grosse-fix"],
  ["🧾", "expert"],
  ["日本語 NLI", "nli"],
  ["../../etc/passwd", "etc-passwd"],
  ["CON", "con"],
  ["a".repeat(300), "a".repeat(40)],
  [`${"a".repeat(39)} b`, "a".repeat(39)],
])("%j becomes the slug %s", (name, slug) => {
  expect(slugOf(name)).toBe(slug);
});

test("ids are stable: they are the names of folders that others made", async () => {
  expect(await expertId("billing")).toBe("billing-0c95c7ec");
  expect(await expertId("🧾")).toBe("expert-af0a15e1");
});

test("composed and decomposed spellings are one name, case makes two", async () => {
  expect(await expertId("Caf\u00e9")).toBe(await expertId(" Cafe\u0301 "));
  expect(await expertId("Café")).not.toBe(await expertId("café"));
});

test("any name gives an id that is a plain, portable folder name", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "binary", maxLength: 300 }), async (name) => {
      const id = await expertId(name);
      expect(isExpertId(id)).toBe(true);
      expect(id).toMatch(/^[a-z0-9-]{10,49}$/);
    }),
    { numRuns: 300 },
  );
});

test("a stored name is what normalising gives again", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 50 }), (name) => {
      const normalized = normalizeName(name);
      fc.pre(isExpertName(normalized));
      expect(expertName(name)).toBe(normalized);
      expect(normalizeName(normalized)).toBe(normalized);
    }),
  );
});

test.each(["", "  ", "two\nlines", "\u001b[31mred", "half \ud83e", "x".repeat(201), "line\u2028end"])(
  "the name %j is refused",
  (name) => {
    expect(() => expertName(name)).toThrow("expected a name of 1 to 200 characters");
  },
);

test.each(["auto", "base", " auto\n"])("no new expert is called %j, which has a meaning of its own", (name) => {
  expect(() => newExpertName(name)).toThrow(`expected another name than ${JSON.stringify(name.trim())}`);
  // What there is from before still opens.
  expect(isExpertName(expertName(name))).toBe(true);
});

test("names that only resemble the reserved ones are free, and bad ones stay bad", () => {
  for (const name of ["Auto", "bases", "auto 2"]) expect(newExpertName(name)).toBe(name);
  expect(() => newExpertName("two\nlines")).toThrow("expected a name of 1 to 200 characters");
});

test.each([
  "..",
  "a",
  "a-12345678/x",
  "A-12345678",
  "-12345678",
  "a--12345678",
  "a-1234567g",
  `${"a".repeat(41)}-12345678`,
])("%j is no id", (text) => {
  expect(isExpertId(text)).toBe(false);
});
