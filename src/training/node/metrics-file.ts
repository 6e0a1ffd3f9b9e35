import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import * as z from "zod";
import { CadreError } from "../../core/errors.js";
import type { EventHandler } from "../../core/events.js";
import { wrapSystemError } from "../../core/node/system-error.js";
import type { TrainingEvent } from "../events.js";

const FORMAT = "cadre-metrics";
const FORMAT_VERSION = 1;
const HEADER = `${JSON.stringify({ format: FORMAT, formatVersion: FORMAT_VERSION })}\n`;
const NEWLINE = 0x0a;

const headerSchema = z.looseObject({ format: z.literal(FORMAT), formatVersion: z.int().positive() });
const lineSchema = z.looseObject({ type: z.string(), step: z.int().nonnegative() });

/** A file that events are appended to. */
export interface MetricsFile extends Disposable {
  /** Hand it to `train`, or call it from a handler of one's own. Takes some 10 µs. */
  readonly onEvent: EventHandler<TrainingEvent>;
  /** A second call does nothing. */
  close(): void;
}

/**
 * Appends every event of a training to a file, one JSON object a line after a header line. A killed process loses no event that was handed
 * over (a power failure may). When a training goes on from step s, what came after it is dropped, so that the file reads as one uninterrupted
 * training; a training from step 0 begins the file anew. (Where a process was killed between a checkpoint and its event, or aborted, there is
 * one `checkpoint-saved` line less or more.)
 *
 * @throws CadreError `invalid-file` where there is a file of another kind, which stays as it is; `mismatch` for a newer format; `not-found`
 * (the folder must exist); `io`.
 */
export function openMetricsFile(path: string): MetricsFile {
  let file: number | undefined = openFile(path);
  /** Where the next line goes. What lies behind it is left from a write that failed or a process that was killed. */
  let size = 0;
  try {
    size = wholeLinesOf(readAll(file), path).size;
  } catch (error) {
    closeSync(file);
    throw error;
  }

  const write = (open: number, text: string): void => {
    const bytes = Buffer.from(text, "utf8");
    let done = 0;
    while (done < bytes.length) {
      done += writeSync(open, bytes, done, bytes.length - done, size + done);
    }
    size += bytes.length;
  };
  const begin = (open: number, step: number): void => {
    size = step === 0 ? 0 : sizeUpTo(readAll(open), { path, step });
    ftruncateSync(open, size);
    if (size === 0) {
      write(open, HEADER);
    }
  };
  const close = (): void => {
    if (file !== undefined) {
      const open = file;
      file = undefined;
      closeSync(open);
    }
  };
  return {
    onEvent(event) {
      if (file === undefined) {
        throw new CadreError("closed", `${path}: expected an open metrics file, this one was closed`);
      }
      if (event.type === "training-start") {
        begin(file, event.step);
        if (size > HEADER.length) {
          return; // goes on below the lines of an earlier process, the first of which says what it is
        }
      }
      write(file, `${JSON.stringify(event)}\n`);
      if (event.type === "checkpoint-saved" || event.type === "training-end") {
        fsyncSync(file);
      }
    },
    close,
    [Symbol.dispose]: close,
  };
}

function openFile(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT);
  } catch (error) {
    throw wrapSystemError(error, `cannot open ${path}`);
  }
}

function readAll(file: number): Buffer {
  const bytes = Buffer.alloc(fstatSync(file).size);
  let done = 0;
  while (done < bytes.length) {
    const count = readSync(file, bytes, done, bytes.length - done, done);
    if (count === 0) {
      break;
    }
    done += count;
  }
  return bytes.subarray(0, done);
}

interface WholeLines {
  readonly lines: readonly { readonly text: string; readonly end: number }[];
  /** Bytes up to the last whole line. */
  readonly size: number;
}

/** Splits at newlines; a last line without one is torn. @throws CadreError `invalid-file`, `mismatch` by the header. */
function wholeLinesOf(bytes: Buffer, path: string): WholeLines {
  const lines: { readonly text: string; readonly end: number }[] = [];
  let start = 0;
  for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
    lines.push({ text: bytes.toString("utf8", start, end), end: end + 1 });
    start = end + 1;
  }
  const [header] = lines;
  if (header === undefined) {
    if (!HEADER.startsWith(bytes.toString("utf8"))) {
      throw notMetrics(path);
    }
    return { lines: [], size: 0 };
  }
  const parsed = headerSchema.safeParse(parse(header.text));
  if (!parsed.success) {
    throw notMetrics(path);
  }
  if (parsed.data.formatVersion > FORMAT_VERSION) {
    throw new CadreError(
      "mismatch",
      `${path}: expected format version ${FORMAT_VERSION} or older, got ${parsed.data.formatVersion}; update cadre`,
      { details: { path, expected: FORMAT_VERSION, found: parsed.data.formatVersion } },
    );
  }
  return { lines, size: start };
}

function notMetrics(path: string): CadreError {
  return new CadreError("invalid-file", `${path}: expected a metrics file of Cadre or nothing, found another file`);
}

/** Bytes up to the last line that an uninterrupted training would have written by the end of a step. */
function sizeUpTo(bytes: Buffer, { path, step }: { readonly path: string; readonly step: number }): number {
  const { lines } = wholeLinesOf(bytes, path);
  // Steps never fall within a file, so what is to go lies at the end; so does what a power failure left unreadable.
  for (const { text, end } of lines.slice(1).toReversed()) {
    const line = lineSchema.safeParse(parse(text));
    if (line.success && line.data.step <= step && line.data.type !== "training-end") {
      return end;
    }
  }
  return 0;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
