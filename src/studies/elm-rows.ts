import * as z from "zod";
import { at } from "../core/at.js";
import { CadreError } from "../core/errors.js";
import { parseConfig } from "../core/parse-config.js";
import type { RawRow } from "../tasks/row-values.js";
import type { RowKind } from "./elm-list.js";

const LETTERS = "ABCDEFGH";

const choicesSchema = z.looseObject({ instruction: z.string(), answer: z.string().regex(/^[a-z]+[1-9]$/) });
const commonsenseSchema = z.looseObject({
  answerKey: z.string().length(1),
  question: z.looseObject({
    stem: z.string().min(1),
    choices: z.array(z.looseObject({ label: z.string(), text: z.string() })).min(2),
  }),
});
const winogradSchema = z.looseObject({
  text: z.string().min(1),
  label: z.boolean(),
  target: z.looseObject({ span1_text: z.string(), span2_text: z.string() }),
});

/** A question with its options, and which of them is right, from 0. */
interface ChoiceQuestion {
  readonly question: string;
  readonly options: readonly string[];
  readonly answer: number;
}

/**
 * A document of a file of `raw-qa` as a row with the fields of its Hugging Face data set, to which promptsource's templates apply.
 * @throws CadreError `invalid-file` for a document of another form.
 */
export function rawQaRow(document: unknown, kind: Exclude<RowKind, "instructions">, where: string): RawRow {
  switch (kind) {
    case "commonsense_qa": {
      const { answerKey, question } = parseConfig(commonsenseSchema, document, { where, code: "invalid-file" });
      return { question: question.stem, choices: columnsOf(question.choices), answerKey };
    }
    case "winograd": {
      const { text, label, target } = parseConfig(winogradSchema, document, { where, code: "invalid-file" });
      return { text, span1_text: target.span1_text, span2_text: target.span2_text, label: label ? 1 : 0 };
    }
    default:
      return choiceRow(parseQuestion(document, where), kind, where);
  }
}

function choiceRow(
  { question, options, answer }: ChoiceQuestion,
  kind: "openbookqa" | "ai2_arc" | "social_i_qa" | "winogrande",
  where: string,
): RawRow {
  const lettered = () => columnsOf(options.map((text, index) => ({ label: LETTERS.charAt(index), text })));
  const number = `${answer + 1}`;
  switch (kind) {
    case "openbookqa":
      return { question_stem: question, choices: lettered(), answerKey: LETTERS.charAt(answer) };
    case "ai2_arc":
      return { question, choices: lettered(), answerKey: LETTERS.charAt(answer) };
    case "winogrande":
      return { sentence: question, option1: at(options, 0), option2: at(options, 1), answer: number };
    case "social_i_qa": {
      const [, context, asked] = /^(.*[.!?"'])\s+([^.!?]+\?)$/s.exec(question) ?? [];
      if (context === undefined || asked === undefined) {
        throw new CadreError("invalid-file", `${where}: expected a story and a question behind it, found ${question}`);
      }
      const [answerA = "", answerB = "", answerC = ""] = options;
      return { context, question: asked, answerA, answerB, answerC, label: number };
    }
  }
}

/** `…: <question>\n\nAnswer1: <option> Answer2: <option>\n\nAnswer format: …`, also with `Option` and `Solution`. */
function parseQuestion(document: unknown, where: string): ChoiceQuestion {
  const { instruction, answer } = parseConfig(choicesSchema, document, { where, code: "invalid-file" });
  const [, asked = "", listed = ""] =
    /^Please choose the correct [a-z ]*: (.*?)\n\n((?:Answer|Option|Solution)1: .*?)\s*Answer format: [^\n]*$/s.exec(
      instruction,
    ) ?? [];
  const options = listed
    .split(/\s*\b(?:Answer|Option|Solution)[1-9]: /)
    .slice(1)
    .map((option) => option.trim());
  const right = Number(answer.slice(-1)) - 1;
  if (asked === "" || options.length < 2 || options.includes("") || right < 0 || right >= options.length) {
    throw new CadreError(
      "invalid-file",
      `${where}: expected a question with two numbered options or more, and the number of the right one, found ${JSON.stringify({ instruction, answer })}`,
    );
  }
  return { question: asked.trim(), options, answer: right };
}

function columnsOf(choices: readonly { readonly label: string; readonly text: string }[]) {
  return { label: choices.map(({ label }) => label), text: choices.map(({ text }) => text) };
}
