import { describe, expect, test } from "vitest";
import { rawQaRow } from "./elm-rows.js";

const question = {
  instruction:
    "Please choose the correct answer to the question: Kai ran home. Why did Kai run?\n\nAnswer1: rain Answer2: a late bus Answer3: fun\n\nAnswer format: answer1/answer2/answer3",
  answer: "answer2",
};

describe("rows of raw-qa in the fields of their data sets", () => {
  test("questions with options", () => {
    expect(rawQaRow(question, "ai2_arc", "f")).toEqual({
      question: "Kai ran home. Why did Kai run?",
      choices: { label: ["A", "B", "C"], text: ["rain", "a late bus", "fun"] },
      answerKey: "B",
    });
    expect(rawQaRow(question, "openbookqa", "f")).toMatchObject({ question_stem: "Kai ran home. Why did Kai run?" });
  });

  test("a story and its question", () => {
    expect(rawQaRow(question, "social_i_qa", "f")).toEqual({
      ...{ context: "Kai ran home.", question: "Why did Kai run?", label: "2" },
      ...{ answerA: "rain", answerB: "a late bus", answerC: "fun" },
    });
  });

  test("a gap, with options on one line with the answer format", () => {
    const instruction =
      "Please choose the correct answer to fill in the blank to complete the given sentence: Mo saw _ there.\n\nOption1: Al Option2: Bo Answer format: option1/option2";
    expect(rawQaRow({ instruction, answer: "option2" }, "winogrande", "f")).toEqual({
      ...{ sentence: "Mo saw _ there.", option1: "Al", option2: "Bo", answer: "2" },
    });
  });

  test.each([
    ["an answer beyond the options", { ...question, answer: "answer4" }],
    ["no options", { ...question, instruction: "Please choose the correct answer to the question: Why?\n\n" }],
    ["no answer", { instruction: question.instruction }],
  ])("refuses %s, saying where", (_, document) => {
    expect(() => rawQaRow(document, "ai2_arc", "file: row 7")).toThrow(/file: row 7/);
  });
});
