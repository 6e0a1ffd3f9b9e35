import { CadreError, EXIT_CODES } from "../core/errors.js";
import { createOverlapIndex, OVERLAP_WORDS, type Overlap, type TextPlace } from "../mixtures/overlap.js";
import { readRows } from "../tasks/node/read-rows.js";
import { findRowFiles, type RowFile } from "../tasks/node/read-rows-files.js";
import type { CheckTasksOptions } from "./check-tasks.js";
import { startProgress } from "./progress.js";

/** Overlapping rows of each file that are printed. */
const EXAMPLES = 3;
/** Characters of an example's shared words that are printed. */
const EXAMPLE_LENGTH = 100;

/** Options of `cadre check`, as commander gives them. */
export interface CheckOptions extends CheckTasksOptions {
  readonly overlap?: readonly string[];
  readonly against?: readonly string[];
}

interface FileOverlap {
  readonly file: string;
  readonly rows: number;
  readonly exactInputs: number;
  readonly nGrams: number;
}

/** What `cadre check --overlap` found; its JSON with `--json`. */
export interface OverlapCheck {
  readonly format: "cadre-overlap-check";
  readonly formatVersion: 1;
  /** Words of a shared run. */
  readonly n: number;
  readonly evaluation: { readonly rows: number; readonly wordlessRows: number; readonly files: readonly FileOverlap[] };
  readonly training: { readonly rows: number; readonly files: number; readonly bytes: number };
  readonly overlaps: readonly Overlap[];
  /** Files of named folders without rows, and why. */
  readonly skipped: readonly { readonly file: string; readonly reason: string }[];
  readonly seconds: number;
}

/**
 * `cadre check`: with paths see `checkTasks`; `--overlap TRAIN… --against EVALUATION…` prints the overlap and sets exit code 3 where there is any.
 * @throws CadreError `invalid-config` for neither or both; as `checkTasks` and {@link checkOverlap}.
 */
export async function checkCommand(paths: readonly string[], options: CheckOptions): Promise<void> {
  const { overlap, against, strict = false, json = false } = options;
  const isOfTasks = paths.length > 0 || options.template !== undefined || options.choices !== undefined;
  if (overlap === undefined && against === undefined && isOfTasks) {
    const { checkTasks } = await import("./check-tasks.js");
    return await checkTasks(paths, options);
  }
  if (overlap === undefined || against === undefined || paths.length > 0) {
    throw new CadreError(
      "invalid-config",
      "check: expected either PATH of your tasks, or --overlap TRAIN… with --against EVALUATION…",
    );
  }
  const result = await checkOverlap({ training: overlap, evaluation: against, strict, showProgress: true });
  if (json) console.log(JSON.stringify(result, null, 2));
  else printCheck(result);
  if (result.overlaps.length > 0) process.exitCode = EXIT_CODES.input;
}

/**
 * Compares all rows of training files with all rows of evaluation files. Only the latter are kept in memory.
 * @throws CadreError `unsupported` where evaluation or training data, or a file that was named itself, hold no rows,
 *   and with `strict` for any such file; `invalid-file` for a broken row; `not-found`; `io`.
 */
export async function checkOverlap({
  training,
  evaluation,
  strict = false,
  showProgress = false,
}: {
  readonly training: readonly string[];
  readonly evaluation: readonly string[];
  readonly strict?: boolean;
  readonly showProgress?: boolean;
}): Promise<OverlapCheck> {
  const start = performance.now();
  const evaluationFiles = await findRowFiles(evaluation);
  const trainingFiles = await findRowFiles(training);
  const total = [...evaluationFiles, ...trainingFiles].reduce((sum, { bytes }) => sum + bytes, 0);
  const progress = showProgress ? startProgress({ title: "overlap", total: Math.max(1, total) }) : undefined;
  const skipped: { file: string; reason: string }[] = [];
  const index = createOverlapIndex();
  let done = 0;

  /** Returns how many rows the file holds; 0 where it was skipped. */
  const readFile = async ({ path, named, bytes }: RowFile, add: (text: string, place: TextPlace) => void) => {
    const before = done;
    let count = 0;
    try {
      for await (const batch of readRows(path)) {
        for (const { number, text } of batch.rows) add(text, { file: path, row: number });
        count += batch.rows.length;
        done += batch.bytes;
        progress?.update(done, `${((performance.now() - start) / 1000).toFixed(0)} s  ${path}`);
      }
    } catch (error) {
      if (named || strict || !CadreError.isInstance(error) || error.code !== "unsupported") throw error;
      const checked = count === 0 ? "" : ` (${count} rows before that were checked)`;
      skipped.push({ file: path, reason: error.message + checked });
    }
    done = before + bytes;
    return count;
  };

  const evaluationRows = new Map<string, number>();
  let trainingBytes = 0;
  let trainingFilesRead = 0;
  try {
    for (const file of evaluationFiles) {
      const rows = await readFile(file, (text, place) => index.addEvaluationRow(text, place));
      if (rows > 0) evaluationRows.set(file.path, (evaluationRows.get(file.path) ?? 0) + rows);
    }
    requireRows(evaluationRows.size, "--against", evaluation);
    for (const file of trainingFiles) {
      const rows = await readFile(file, (text, place) => index.addTrainingText(text, place));
      if (rows === 0) continue;
      trainingFilesRead++;
      trainingBytes += file.bytes;
    }
    requireRows(trainingFilesRead, "--overlap", training);
  } finally {
    progress?.stop();
  }

  const report = index.report();
  const countOf = (file: string, kind: Overlap["kind"]) =>
    report.overlaps.filter((overlap) => overlap.file === file && overlap.kind === kind).length;
  return {
    format: "cadre-overlap-check",
    formatVersion: 1,
    n: OVERLAP_WORDS,
    evaluation: {
      rows: report.evaluationRows,
      wordlessRows: report.wordlessRows,
      files: [...evaluationRows].map(([file, rows]) => ({
        file,
        rows,
        exactInputs: countOf(file, "exact-input"),
        nGrams: countOf(file, "n-gram"),
      })),
    },
    training: { rows: report.trainingTexts, files: trainingFilesRead, bytes: trainingBytes },
    overlaps: report.overlaps,
    skipped,
    seconds: (performance.now() - start) / 1000,
  };
}

function requireRows(files: number, option: string, paths: readonly string[]): void {
  if (files === 0) throw new CadreError("unsupported", `${option} ${paths.join(" ")}: expected rows, found none`);
}

function printCheck({ n, evaluation, training, overlaps, skipped, seconds }: OverlapCheck): void {
  const width = Math.max(...evaluation.files.map(({ file }) => file.length), "evaluation file".length);
  const line = (cells: readonly string[]) => {
    const [file = "", ...figures] = cells;
    console.log(`${file.padEnd(width)}${figures.map((cell) => cell.padStart(13)).join("")}`);
  };
  line(["evaluation file", "rows", "equal input", `${n} words`, "of rows"]);
  for (const { file, rows, exactInputs, nGrams } of evaluation.files) {
    const share = `${((100 * (exactInputs + nGrams)) / rows).toFixed(1)} %`;
    line([file, String(rows), String(exactInputs), String(nGrams), share]);
    const found = overlaps.filter((overlap) => overlap.file === file);
    for (const overlap of found.slice(0, EXAMPLES)) console.log(`  ${describe(overlap)}`);
    if (found.length > EXAMPLES) console.log(`  … and ${found.length - EXAMPLES} more (--json lists them)`);
  }
  if (evaluation.wordlessRows > 0)
    console.log(`${evaluation.wordlessRows} evaluation rows hold no words and were not compared`);
  for (const { reason } of skipped) console.log(`skipped: ${reason}`);
  const megabytes = training.bytes / 1e6;
  console.log(
    `\n${overlaps.length} of ${evaluation.rows} evaluation rows overlap ${training.rows} training rows of ${training.files} files; ` +
      `${megabytes.toFixed(1)} MB in ${seconds.toFixed(1)} s (${Math.round(training.rows / seconds)} rows/s)`,
  );
}

function describe({ row, kind, words, training, sharedRuns, runs }: Overlap): string {
  const shown = words.length > EXAMPLE_LENGTH ? `${words.slice(0, EXAMPLE_LENGTH)}…` : words;
  const extent = kind === "exact-input" ? "equal input" : `${sharedRuns} of ${runs} runs`;
  return `row ${row}: ${extent}, ${training.file} row ${training.row}: "${shown}"`;
}
