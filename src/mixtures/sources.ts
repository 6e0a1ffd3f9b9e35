import * as z from "zod";
import { CadreError } from "../core/errors.js";
import { parseConfig } from "../core/parse-config.js";

/** Licences under which a text may be trained on; names as in SPDX, and `public-domain`. */
export const ALLOWED_LICENCES: ReadonlySet<string> = new Set([
  "public-domain",
  "CC0-1.0",
  ...["2.0", "2.5", "3.0", "4.0"].flatMap((version) => [`CC-BY-${version}`, `CC-BY-SA-${version}`]),
  "CDLA-Sharing-1.0",
  "CDLA-Permissive-1.0",
  "CDLA-Permissive-2.0",
  "Apache-2.0",
  "MIT",
]);

/**
 * What a file of a source list holds: plain text; a `{ Definition, Instances }` document; JSONL rows of
 * `{ prompt, completion }`; lines of input, answer and explanation, divided by tabs.
 */
export const SOURCE_KINDS = ["text", "instructions", "prompt-completion", "tsv"] as const;

const FORMAT_VERSION = 1;

const pathSchema = z
  .string()
  .refine(isPlainRelativePath, "expected a relative path with / between names, without . and .. among them");

const sourceFileSchema = z.looseObject({
  path: pathSchema,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.int().nonnegative(),
  kind: z.enum(SOURCE_KINDS),
  sourceDataset: z.string().min(1),
  licence: z.string().min(1),
  licenceEvidence: z.string().min(1),
});

const sourcesSchema = z.looseObject({
  format: z.literal("cadre-sources"),
  formatVersion: z.literal(FORMAT_VERSION),
  root: z.string().min(1),
  files: z.array(sourceFileSchema),
  wordLists: z.array(sourceFileSchema.omit({ kind: true })).default([]),
});

const heldoutSchema = z.looseObject({
  format: z.literal("cadre-heldout"),
  formatVersion: z.literal(FORMAT_VERSION),
  files: z.array(z.looseObject({ path: pathSchema, reason: z.string().min(1) })),
});

/** A file that may be trained on, with the licence of its source data set and where that licence is stated. */
export type SourceFile = z.output<typeof sourceFileSchema>;

/**
 * `sources.json` of a base: the files that its pre-training may use; `root` is relative to the repository's root, paths of word lists are relative to the
 * list's own folder.
 */
export type Sources = z.output<typeof sourcesSchema>;

/** `heldout.json` of a base: the files that nothing may be trained on, with the reason. */
export type Heldout = z.output<typeof heldoutSchema>;

/**
 * Reads the content of a `sources.json`. Unknown fields are kept; {@link checkSources} judges what it lists.
 * @throws CadreError `unsupported` for a newer format version, `invalid-file` for what breaks the format.
 */
export function parseSources(value: unknown, where: string): Sources {
  refuseNewerVersion(value, where);
  return parseConfig(sourcesSchema, value, { where, code: "invalid-file" });
}

/**
 * Reads the content of a `heldout.json`. Unknown fields are kept.
 * @throws CadreError `unsupported` for a newer format version, `invalid-file` for what breaks the format.
 */
export function parseHeldout(value: unknown, where: string): Heldout {
  refuseNewerVersion(value, where);
  return parseConfig(heldoutSchema, value, { where, code: "invalid-file" });
}

/**
 * Files that are never trained on, whatever a list says: evaluation suites, evaluation splits and prompt collections
 * of the data bundle. A second net under `heldout.json`, which names these files one by one.
 */
const NEVER_TRAINED: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [/^(bbh|big-bench|mgsm|mmlu|xquad)\//, "an evaluation suite"],
  [/^superglue-cls\//, "a data set that the base's card reports on"],
  [/^(promptsource|lm-eval-yaml)\//, "wordings of evaluated data sets"],
  [/^raw-qa\/(.*\/)?([^/]*[-_.])?dev([-_.][^/]*)?$/i, "an evaluation split"],
  [/^raw-qa\/(AddSub|MultiArith|SVAMP|SingleEq|coin_flip|last_letters|fewglue)\//, "an evaluation split"],
  [/test[^/]*$/i, "a test split"],
  [/(^|[/_.-])(cb|copa|rte|x?l?wic|winogrande)([/_.-]|$)/i, "a source data set that is reported as unseen"],
];

/**
 * Checks what pre-training is about to read: every licence is allowed, no file is listed twice, held out, or a file
 * that is never trained on by its path. Letters of paths are compared without regard to case.
 * @throws CadreError `invalid-file` that names every offending file with its fault; `details.files` lists their paths.
 */
export function checkSources(sources: Sources, heldout: Pick<Heldout, "files">): void {
  const heldoutReasons = new Map(heldout.files.map(({ path, reason }) => [path.toLowerCase(), reason]));
  const seen = new Set<string>();
  const faults: { readonly path: string; readonly fault: string }[] = [];
  for (const { path, licence } of sources.files) {
    const key = path.toLowerCase();
    if (!ALLOWED_LICENCES.has(licence)) faults.push({ path, fault: `licence ${licence} is not on the allow-list` });
    if (seen.has(key)) faults.push({ path, fault: "listed twice" });
    seen.add(key);
    const reason = heldoutReasons.get(key);
    if (reason !== undefined) faults.push({ path, fault: `held out: ${reason}` });
    const never = NEVER_TRAINED.find(([pattern]) => pattern.test(path));
    if (never !== undefined) faults.push({ path, fault: `never trained on: ${never[1]}` });
  }
  for (const { path, licence } of sources.wordLists) {
    if (!ALLOWED_LICENCES.has(licence)) faults.push({ path, fault: `licence ${licence} is not on the allow-list` });
  }
  if (faults.length === 0) return;
  const lines = faults.map(({ path, fault }) => `  ${path}: ${fault}`);
  throw new CadreError(
    "invalid-file",
    `sources: expected only files that may be trained on, found\n${lines.join("\n")}\nTake them off the list`,
    { details: { files: [...new Set(faults.map(({ path }) => path))] } },
  );
}

function refuseNewerVersion(value: unknown, where: string): void {
  const version = z.looseObject({ formatVersion: z.number() }).safeParse(value);
  if (version.success && version.data.formatVersion > FORMAT_VERSION) {
    throw new CadreError(
      "unsupported",
      `${where}: expected format version ${FORMAT_VERSION} or older, found ${version.data.formatVersion}; update cadre`,
      { details: { expected: FORMAT_VERSION, found: version.data.formatVersion } },
    );
  }
}

// A list that reached out of its root by ".." could name a held-out file by another path.
function isPlainRelativePath(path: string): boolean {
  return !path.includes("\\") && path.split("/").every((name) => name !== "" && name !== "." && name !== "..");
}
