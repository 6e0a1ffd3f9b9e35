import { MAX_INFERRED_CHOICES } from "../tasks/infer-choices.js";
import { quote } from "../tasks/row-values.js";
import type { Finding, LengthCheck, TaskCheck, TemplateCheck } from "./task-check.js";

/** A choice with fewer training rows is called rare. */
const FEW_ROWS_OF_CHOICE = 5;
/** Share of one answer from which the majority is worth a word. */
const LARGE_SHARE = 0.8;
/** Half the width of the 95 % interval of an accuracy, in percentage points, from which a test split is called small. */
const WIDE_INTERVAL = 10;
/** Share of measured inputs that are cut from which it is worth a word. */
const MANY_CUT = 0.01;
/** Names in a sentence. */
const SHOWN = 5;
/** Characters of a name. */
const SHOWN_CHARACTERS = 40;
/** Instances that intervals can resample, and best experts be chosen on; fewer cannot be judged. */
const LEAST_TEST_ROWS = 2;

/** What a newcomer should be told about a task, most important first. */
export function findingsOf(
  check: Omit<TaskCheck, "findings">,
  { maxRows }: { readonly maxRows: number },
): readonly Finding[] {
  return [
    ...aboutRows(check, maxRows),
    ...aboutSplits(check),
    ...check.templates.flatMap((template) => aboutAnswers(template, check)),
    ...check.templates.flatMap((template) => aboutLengths(template, check)),
    ...aboutFields(check),
  ].sort((a, b) => Number(a.level === "advice") - Number(b.level === "advice"));
}

function aboutRows(check: Omit<TaskCheck, "findings">, maxRows: number): Finding[] {
  const { badRows, rows, splitRows, duplicates, conflictCount, refusal } = check;
  const findings: Finding[] = [];
  if (badRows > 0) {
    findings.push(
      problem(`Bad rows, which are left out: ${badRows} of ${rows}. They are listed with file, line and reason.`),
    );
  }
  if (refusal !== undefined) findings.push(problem(`No expert can be trained: ${refusal}.`));
  if (conflictCount > 0) {
    findings.push(
      problem(
        `Inputs with different answers: ${conflictCount}. Whatever the model learns, it is wrong on some of them. Keep the right answer, or add to the input what tells the cases apart.`,
      ),
    );
  }
  if (duplicates > 0) {
    findings.push(
      advice(
        `Repeated rows (input and answer as in an earlier one): ${duplicates}. They count more than the others; remove them unless that is meant.`,
      ),
    );
  }
  if (splitRows.train > maxRows) {
    findings.push(advice(`Of ${splitRows.train} training rows the recipe takes ${maxRows}.`));
  }
  return findings;
}

function aboutSplits({ splitRows, leakCount, nearLeakCount, refusal }: Omit<TaskCheck, "findings">): Finding[] {
  const findings: Finding[] = [];
  if (leakCount > 0) {
    findings.push(
      problem(
        `Left out of training or validation: ${counted(leakCount, "row")} whose input is also in a split that judges them. Otherwise the model would be asked what it has seen.`,
      ),
    );
  }
  if (nearLeakCount > 0) {
    findings.push(
      advice(
        `Rows that differ from one that judges them only in case, punctuation or spaces: ${nearLeakCount}. The measured accuracy may be too good; remove one of each pair.`,
      ),
    );
  }
  if (refusal !== undefined) return findings;
  if (splitRows.test < LEAST_TEST_ROWS) {
    findings.push(
      problem(
        `Too few test rows (${splitRows.test}): the result cannot be judged. Give at least ${LEAST_TEST_ROWS}, or more rows to take them from.`,
      ),
    );
    return findings;
  }
  const half = (100 * 1.96 * 0.5) / Math.sqrt(splitRows.test);
  if (half > WIDE_INTERVAL) {
    const width = Math.min(100, Math.round(half));
    findings.push(
      advice(
        `Only ${counted(splitRows.test, "test row")}: an accuracy measured on so few can be off by ${width} percentage points. More rows make it surer.`,
      ),
    );
  }
  return findings;
}

function aboutAnswers(template: TemplateCheck, check: Omit<TaskCheck, "findings">): Finding[] {
  const { labels, choices, distinctTargets, choicesFrom } = template;
  const prefix = prefixOf(template, check);
  const findings: Finding[] = [];
  if (distinctTargets === 1) {
    if (check.refusal === undefined) {
      findings.push(
        problem(`${prefix}All rows have the same answer, so there is nothing to learn. Add rows with other answers.`),
      );
    }
    return findings;
  }
  if (choices === undefined) {
    const good = check.rows - check.badRows;
    const mayBeLabels = distinctTargets > 1 && distinctTargets <= MAX_INFERRED_CHOICES && 2 * distinctTargets <= good;
    if (choicesFrom === "none" && mayBeLabels) {
      findings.push(
        advice(
          `${prefix}${distinctTargets} different answers in few rows: they are learned as free text. If they are labels, add rows or name the choices.`,
        ),
      );
    }
    return findings;
  }
  const total = labels.reduce((sum, { train, validation, test }) => sum + train + validation + test, 0);
  for (const { label, train, validation, test } of labels) {
    const share = total === 0 ? 0 : (train + validation + test) / total;
    if (share >= LARGE_SHARE) {
      const percent = Math.round(100 * share);
      findings.push(
        advice(
          `${prefix}${quote(label, { most: SHOWN_CHARACTERS })} is the answer of ${percent} % of the rows, so always saying it is right as often. Compare accuracies with that; more rows of the other answers help.`,
        ),
      );
    }
  }
  const absent = labels.filter(({ train }) => train === 0).map(({ label }) => label);
  if (absent.length > 0 && check.splitRows.train > 0) {
    findings.push(
      advice(`${prefix}No training row has the answer ${listed(absent)}: the model cannot learn it. Add rows.`),
    );
  }
  const rare = labels.filter(({ train }) => train > 0 && train < FEW_ROWS_OF_CHOICE).map(({ label }) => label);
  if (rare.length > 0) {
    findings.push(
      advice(
        `${prefix}Fewer than ${FEW_ROWS_OF_CHOICE} training rows have the answer ${listed(rare)}. Add rows, or join it with another answer.`,
      ),
    );
  }
  const alike = alikeChoices(choices);
  if (alike !== undefined) {
    findings.push(
      advice(
        `${prefix}The answers ${listed(alike)} differ only in case, punctuation or spaces. If they mean the same, write them the same.`,
      ),
    );
  }
  if (choices.every((choice) => /^-?\d+(\.\d+)?$/.test(choice))) {
    findings.push(
      advice(
        `${prefix}The answers are numbers (${listed(choices)}). A model knows something about words: write what they stand for, or give a template with answer choices.`,
      ),
    );
  }
  return findings;
}

function aboutLengths(template: TemplateCheck, check: Omit<TaskCheck, "findings">): Finding[] {
  const { inputTokens, targetTokens, targetTokensOf } = template;
  const prefix = prefixOf(template, check);
  const findings: Finding[] = [];
  if (shareCut(inputTokens) >= MANY_CUT) {
    findings.push(
      advice(
        `${prefix}${percentCut(inputTokens)} of the inputs are longer than ${inputTokens.limit} tokens, and their end is cut. Put what decides first, or shorten them.`,
      ),
    );
  }
  if (targetTokens.cut > 0 && targetTokensOf === "answer") {
    findings.push(
      advice(
        `${prefix}${percentCut(targetTokens)} of the answers are longer than ${targetTokens.limit} tokens, and their end is cut. Shorten them.`,
      ),
    );
  }
  return findings;
}

function aboutFields({ unusedFields }: Omit<TaskCheck, "findings">): Finding[] {
  if (unusedFields.length === 0) return [];
  return [
    advice(
      `Not used: the ${unusedFields.length === 1 ? "field" : "fields"} ${listed(unusedFields)}. A template can put them into the input.`,
    ),
  ];
}

/** Two choices or more that become equal without case, punctuation and spaces; undefined if there are none. */
function alikeChoices(choices: readonly string[]): string[] | undefined {
  const groups = new Map<string, string[]>();
  for (const choice of choices) {
    const key = choice
      .normalize("NFKC")
      .toLowerCase()
      .replace(/[^\p{L}\p{M}\p{N}]+/gu, "");
    if (key !== "") groups.set(key, [...(groups.get(key) ?? []), choice]);
  }
  return [...groups.values()].find((group) => group.length > 1);
}

function shareCut({ cut, measured }: LengthCheck): number {
  return measured === 0 ? 0 : cut / measured;
}

function percentCut(check: LengthCheck): string {
  const percent = 100 * shareCut(check);
  return `${percent < 1 ? "Under 1" : Math.round(percent)} %`;
}

function prefixOf({ name }: TemplateCheck, { templates }: Omit<TaskCheck, "findings">): string {
  return templates.length > 1 ? `${name}: ` : "";
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function listed(texts: readonly string[]): string {
  const shown = texts
    .slice(0, SHOWN)
    .map((text) => quote(text, { most: SHOWN_CHARACTERS }))
    .join(", ");
  return texts.length > SHOWN ? `${shown} and ${texts.length - SHOWN} more` : shown;
}

function problem(text: string): Finding {
  return { level: "problem", text };
}

function advice(text: string): Finding {
  return { level: "advice", text };
}
