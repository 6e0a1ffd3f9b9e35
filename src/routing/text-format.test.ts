import { expect, test } from "vitest";
import type { Example } from "../tasks/task.js";
import { formatText, routingTextOf, textFormatSchema } from "./text-format.js";

test("every format is written as ELM writes it", () => {
  const text = { input: "Is 3 even?", choices: ["yes", "no"], answerChoices: "yes ||| no" };
  expect(Object.fromEntries(textFormatSchema.options.map((format) => [format, formatText(text, format)]))).toEqual({
    choice: "Answer Choices: yes ||| no",
    choice_instance: "Answer Choices: yes ||| no, Instance: Is 3 even?",
    instance: "Instance: Is 3 even?",
    label: "Answer Choices: yes, no",
    label_instance: "Answer Choices: yes, no, Instance: Is 3 even?",
    choice_new: "yes ||| no",
    choice_instance_new: "yes ||| no</s>Is 3 even?",
    instance_new: "Is 3 even?",
    label_new: "yes, no",
    label_instance_new: "yes, no</s>Is 3 even?",
  });
});

test("without answers, a template reads None and a list is empty; without a template it is made of the list", () => {
  expect(formatText({ input: "x" }, "choice_instance")).toBe("Answer Choices: None, Instance: x");
  expect(formatText({ input: "x" }, "label_instance")).toBe("Answer Choices: , Instance: x");
  expect(formatText({ input: "x", choices: ["a", "b"] }, "choice")).toBe("Answer Choices: a ||| b");
  expect(formatText({ input: "", choices: [] }, "label_instance_new")).toBe("</s>");
});

test("of an example, routing sees neither targets nor anything else", () => {
  const example = new Proxy<Example>(
    { input: "in", targets: ["b"], choices: ["a", "b"] },
    {
      get(target, name, receiver) {
        if (name !== "input" && name !== "choices") throw new Error(`read ${String(name)}`);
        return Reflect.get(target, name, receiver);
      },
    },
  );
  expect(routingTextOf(example)).toEqual({ input: "in", choices: ["a", "b"] });
  expect(routingTextOf({ input: "in" })).toEqual({ input: "in" });
});
