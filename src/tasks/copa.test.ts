import { expect, test } from "vitest";
import { copaTask, parseCopa } from "./copa.js";
import { renderExample } from "./template.js";

const item = (attributes: string, p = "It rained.", a1 = "The road got wet.", a2 = "The sun came out.") =>
  `<item ${attributes}><p>${p}</p><a1>${a1}</a1><a2>${a2}</a2></item>`;
const corpus = (items: string, head = "") =>
  `<?xml version="1.0"?>${head}<copa-corpus version="1.0">${items}</copa-corpus>`;
const good = 'id="7" asks-for="effect" most-plausible-alternative="2"';
const row = {
  idx: 7,
  premise: "It rained.",
  choice1: "The road got wet.",
  choice2: "The sun came out.",
  question: "effect",
  label: 1,
};

test("items become rows with the fields of the Hugging Face data set", () => {
  const document = corpus(
    item(good) +
      item(
        'id="8" asks-for="cause" most-plausible-alternative="1"',
        "<![CDATA[a < b]]>",
        " 1.0 ",
        "&lt;&#233;&amp;lt;&unknown;",
      ),
  );
  expect(parseCopa(document, "x")).toEqual([
    row,
    { idx: 8, premise: "a < b", choice1: "1.0", choice2: "<é&lt;&unknown;", question: "cause", label: 0 },
  ]);
  expect(parseCopa(corpus(item(good), '<!DOCTYPE copa-corpus SYSTEM "copa.dtd">'), "x")).toEqual([row]);
});

test("a task of them, with either alternative as a choice", () => {
  const task = copaTask("copa", parseCopa(corpus(item(good)), "x"));
  const [instance] = task.instances;
  const [template = ""] = task.templates;
  expect(instance && renderExample(task, instance, template)).toEqual({
    input: "It rained. What was the effect of this?\n- The road got wet.\n- The sun came out.",
    targets: ["The sun came out."],
    choices: ["The road got wet.", "The sun came out."],
  });
});

const bomb = `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>`;
test.each<[string, string, RegExp]>([
  ["entities", corpus(item(good, "&b;"), bomb), /x: expected XML that defines no entities/],
  ["an external entity", corpus(item(good), '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'), /no entities/],
  ["deep nesting", corpus("<item>".repeat(10_000) + "</item>".repeat(10_000)), /x: expected XML: .*nested/i],
  ["an open element", "<copa-corpus><item>", /x: expected XML/],
  ["no XML", "premise,choice1", /x: expected XML|copa-corpus/],
  ["another document", "<a/>", /copa-corpus/],
  ["no items", corpus(""), /x:/],
  [
    "another question",
    corpus(item('id="1" asks-for="why" most-plausible-alternative="2"')),
    /item\[0\]:[\s\S]*asks-for/,
  ],
  ["no answer", corpus(item(good) + item('id="1" asks-for="cause"')), /item\[1\]:[\s\S]*most-plausible/],
  ["an empty text", corpus(item(good, " ")), /item\[0\]:/],
  ["elements within a text", corpus(item(good, "a <b>c</b>")), /item\[0\]:/],
  ["a large file", corpus(item(good, "a".repeat(17 * 2 ** 20))), /at most 16777216 characters/],
])("%s is refused", (_, document, message) => {
  expect(() => parseCopa(document, "x")).toThrow(message);
});
