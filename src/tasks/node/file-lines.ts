import { createReadStream } from "node:fs";
import { CadreError, throwIfAborted } from "../../core/errors.js";
import { wrapSystemError } from "../../core/node/system-error.js";
import { MAX_ROW_BYTES, type Problem } from "../user-task.js";

/** A line as bytes. */
export interface FileLine {
  /** From 1. */
  readonly number: number;
  /** Without the line end; undefined for a line above {@link MAX_ROW_BYTES}, which is passed over. */
  readonly bytes: Uint8Array | undefined;
}

/** Bytes that are read at once. */
const CHUNK_BYTES = 2 ** 20;
const [LINE_FEED, CARRIAGE_RETURN] = [0x0a, 0x0d];

/**
 * The lines of a file, a mebibyte at a time, whatever its bytes are: {@link decodeLine} judges each line alone. A byte order mark and carriage returns
 * before line ends are taken off. Lines end with line feeds; where the first mebibyte has none, with carriage returns, as on old Macs.
 * @throws CadreError `invalid-file` for UTF-16; `not-found`; `io`; `aborted`.
 */
export async function* readByteLines(path: string, signal?: AbortSignal): AsyncGenerator<FileLine[]> {
  let rest: Uint8Array = new Uint8Array(0);
  let number = 1;
  let isTooLong = false;
  let isFirst = true;
  let lineEnd = LINE_FEED;
  const lineOf = (bytes: Uint8Array): FileLine => {
    const line = isTooLong || bytes.length > MAX_ROW_BYTES ? undefined : withoutCarriageReturn(bytes);
    isTooLong = false;
    return { number: number++, bytes: line };
  };
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
      throwIfAborted(signal);
      const read: Buffer = chunk;
      let bytes: Uint8Array = rest.length === 0 ? read : Buffer.concat([rest, read]);
      if (isFirst) {
        bytes = withoutMark(bytes, path);
        lineEnd = lineEndOf(bytes);
      }
      isFirst = false;
      const lines: FileLine[] = [];
      let start = 0;
      for (let end = bytes.indexOf(lineEnd); end >= 0; end = bytes.indexOf(lineEnd, start)) {
        lines.push(lineOf(bytes.subarray(start, end)));
        start = end + 1;
      }
      rest = bytes.subarray(start);
      if (rest.length > MAX_ROW_BYTES) {
        isTooLong = true;
        rest = new Uint8Array(0);
      }
      yield lines;
    }
  } catch (error) {
    throw wrapSystemError(error, `cannot read ${path}`);
  }
  if (rest.length > 0 || isTooLong) yield [lineOf(rest)];
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What is wrong with a row above {@link MAX_ROW_BYTES}. */
export const TOO_LONG: Problem = {
  kind: "too-long",
  problem: `expected at most ${MAX_ROW_BYTES} bytes in a row, found more; shorten it`,
};

/** The text of a line, or of several. */
export function decodeLine(bytes: Uint8Array | undefined): { readonly text: string } | { readonly problem: Problem } {
  if (bytes === undefined) return { problem: TOO_LONG };
  if (bytes.includes(0)) {
    return { problem: { kind: "encoding", problem: "expected text, found a zero byte; the file may be damaged" } };
  }
  try {
    return { text: decoder.decode(bytes) };
  } catch {
    const problem = "expected UTF-8, found other bytes; save the file as UTF-8 (in Excel: CSV UTF-8)";
    return { problem: { kind: "encoding", problem } };
  }
}

function withoutMark(bytes: Uint8Array, path: string): Uint8Array {
  const [first, second, third] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    throw new CadreError(
      "invalid-file",
      `${path}: expected UTF-8, found UTF-16; save it as UTF-8 (in Excel: CSV UTF-8)`,
    );
  }
  return first === 0xef && second === 0xbb && third === 0xbf ? bytes.subarray(3) : bytes;
}

/** A carriage return at the very end may belong to a line feed that was not read yet. */
function lineEndOf(bytes: Uint8Array): number {
  return bytes.includes(LINE_FEED) || !bytes.subarray(0, -1).includes(CARRIAGE_RETURN) ? LINE_FEED : CARRIAGE_RETURN;
}

function withoutCarriageReturn(bytes: Uint8Array): Uint8Array {
  return bytes.at(-1) === CARRIAGE_RETURN ? bytes.subarray(0, -1) : bytes;
}
