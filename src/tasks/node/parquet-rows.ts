import { Worker } from "node:worker_threads";
import { CadreError, throwIfAborted } from "../../core/errors.js";
import { compiledUrl } from "../../runtime/node/compiled-url.js";
import type { FileRow } from "./file-row.js";
import type { ParquetAnswer } from "./parquet-worker.js";

/** Longest time for one row group, in seconds: sound ones take some seconds, damaged ones may take for ever. */
const GROUP_SECONDS = 300;
/** Most heap of the decoder in mebibytes. */
const HEAP_MEBIBYTES = 2048;

/** Options of {@link readParquetRows}. */
export interface ParquetOptions {
  /** Stops the reading. */
  readonly signal?: AbortSignal | undefined;
  /** Longest time for one row group, in seconds; default 300. */
  readonly groupSeconds?: number;
}

/**
 * The rows of a Parquet file, a row group at a time, decoded in a worker thread; `line` is the row's number.
 * @throws CadreError `invalid-file` for a damaged file, also one that takes too long or too much memory; `unsupported` for one that is too large;
 * `not-found`; `io`; `aborted`.
 */
export async function* readParquetRows(
  path: string,
  { signal, groupSeconds = GROUP_SECONDS }: ParquetOptions = {},
): AsyncGenerator<readonly FileRow[]> {
  throwIfAborted(signal);
  const worker = new Worker(compiledUrl("../../tasks/node/parquet-worker.js"), {
    name: "cadre-parquet",
    workerData: path,
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MEBIBYTES },
  });
  try {
    for (;;) {
      const answer = await ask(worker, { path, signal, groupSeconds });
      if ("error" in answer) throw new CadreError(answer.error.code, answer.error.message, { details: { path } });
      if (answer.rows.length === 0) return;
      yield answer.rows;
    }
  } finally {
    await worker.terminate();
  }
}

function ask(
  worker: Worker,
  { path, signal, groupSeconds }: ParquetOptions & { readonly path: string; readonly groupSeconds: number },
): Promise<ParquetAnswer> {
  return new Promise((resolve, reject) => {
    const damaged = (reason: string) =>
      new CadreError("invalid-file", `${path}: expected a sound Parquet file: ${reason}`);
    const stop = (error: CadreError) => {
      end();
      reject(error);
    };
    const onMessage = (answer: ParquetAnswer) => {
      end();
      resolve(answer);
    };
    const onError = (error: Error) => stop(damaged(`its decoder ended: ${error.message}`));
    const onExit = () => stop(damaged("its decoder ended"));
    const onAbort = () => stop(new CadreError("aborted", "the work was aborted", { cause: signal?.reason }));
    const timer = setTimeout(
      () => stop(damaged(`a row group was not decoded after ${groupSeconds} seconds`)),
      1000 * groupSeconds,
    );
    const end = () => {
      clearTimeout(timer);
      worker.off("message", onMessage).off("error", onError).off("exit", onExit);
      signal?.removeEventListener("abort", onAbort);
    };
    worker.on("message", onMessage).on("error", onError).on("exit", onExit);
    signal?.addEventListener("abort", onAbort, { once: true });
    worker.postMessage("next");
  });
}
