import { XMLParser } from "fast-xml-parser";
import * as z from "zod";
import { CadreError } from "../core/errors.js";
import { parseConfig } from "../core/parse-config.js";
import type { Task } from "./task.js";

/** A question of COPA, in the fields of its Hugging Face data set, to which promptsource's `super_glue/copa` applies. */
export interface CopaRow {
  readonly idx: number;
  readonly premise: string;
  readonly choice1: string;
  readonly choice2: string;
  /** What is asked for. */
  readonly question: "cause" | "effect";
  /** 0 for `choice1`, 1 for `choice2`. */
  readonly label: 0 | 1;
}

/** COPA's file has 7 elements deep at most and 100 kB. */
const MAX_CHARACTERS = 16 * 2 ** 20;
const MAX_DEPTH = 16;

const text = z.string().trim().min(1);
const itemSchema = z.looseObject({
  "@id": z.string().regex(/^\d+$/),
  "@asks-for": z.enum(["cause", "effect"]),
  "@most-plausible-alternative": z.enum(["1", "2"]),
  p: text,
  a1: text,
  a2: text,
});
const corpusSchema = z.looseObject({ "copa-corpus": z.looseObject({ item: z.array(z.unknown()).min(1) }) });

/** What XML defines itself; no other entity is replaced, so that none can grow. */
const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

/**
 * The questions of a COPA corpus (`copa-dev.xml`).
 * @param where names the text in messages: a path
 * @throws CadreError `invalid-file` for what is no XML or too large or deep, for a document that defines entities, and for a wrong item (from 0).
 */
export function parseCopa(xml: string, where: string): CopaRow[] {
  if (xml.length > MAX_CHARACTERS) {
    throw new CadreError(
      "invalid-file",
      `${where}: expected at most ${MAX_CHARACTERS} characters of XML, found ${xml.length}`,
    );
  }
  if (/<!ENTITY/i.test(xml)) {
    throw new CadreError("invalid-file", `${where}: expected XML that defines no entities, found <!ENTITY; remove it`);
  }
  const { "copa-corpus": corpus } = parseConfig(corpusSchema, parseXml(xml, where), { where, code: "invalid-file" });
  return corpus.item.map((item, index) => {
    const place = { where: `${where}: item[${index}]`, code: "invalid-file" } as const;
    const { p, a1, a2, ...attributes } = parseConfig(itemSchema, item, place);
    return {
      idx: Number(attributes["@id"]),
      premise: withoutEntities(p),
      choice1: withoutEntities(a1),
      choice2: withoutEntities(a2),
      question: attributes["@asks-for"],
      label: attributes["@most-plausible-alternative"] === "1" ? 0 : 1,
    };
  });
}

/** The questions as a task: either alternative is a choice. */
export function copaTask(name: string, rows: readonly CopaRow[]): Task {
  return {
    name,
    definition: "",
    templates: ["{{ premise }} What was the {{ question }} of this?\n- {{ choice1 }}\n- {{ choice2 }}"],
    instances: rows.map(({ premise, choice1, choice2, question, label }) => ({
      fields: { premise, choice1, choice2, question },
      targets: [label === 0 ? choice1 : choice2],
      choices: [choice1, choice2],
    })),
  };
}

function parseXml(xml: string, where: string): unknown {
  const parser = new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: "@",
    parseTagValue: false,
    parseAttributeValue: false,
    processEntities: false,
    maxNestedTags: MAX_DEPTH,
    isArray: (name) => name === "item",
  });
  try {
    return parser.parse(xml, true);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CadreError("invalid-file", `${where}: expected XML: ${reason}`, { cause });
  }
}

function withoutEntities(value: string): string {
  return value.replace(
    /&(?:(lt|gt|quot|apos|amp)|#(\d{1,7})|#x([0-9a-f]{1,6}));/gi,
    (whole, name, decimal, hexadecimal) => {
      if (name !== undefined) return ENTITIES[String(name).toLowerCase()] ?? whole;
      const code = decimal === undefined ? Number.parseInt(hexadecimal, 16) : Number(decimal);
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    },
  );
}
