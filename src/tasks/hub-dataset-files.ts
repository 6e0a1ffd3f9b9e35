import { CadreError } from "../core/errors.js";
import { nearMiss } from "../core/near-miss.js";

/** Parquet files of a data set on the Hub that belong to one split. */
export interface DatasetSplitFiles {
  /** The subset; `default` where the repository names none. */
  readonly config: string;
  readonly split: string;
  /** Paths in the repository, in the order of their rows. */
  readonly files: readonly string[];
  /** False where file names say that some are missing (`-00000-of-00002` alone). */
  readonly isComplete: boolean;
}

/** Options of {@link chooseSplitFiles}. */
export interface ChooseSplitOptions {
  /** The subset; needed where there are several. */
  readonly config?: string | undefined;
  readonly split: string;
  /** Names the repository in messages. */
  readonly where: string;
}

const SHARD = /^(?<split>.+?)(?:-(?<index>\d{5})-of-(?<count>\d{5})(?:-[0-9a-f]+)?)?\.parquet$/;
const NUMBERED = /^\d{4,}\.parquet$/;

/**
 * The Parquet files of a split, by the names that the Hub uses: `data/train-00000-of-00001.parquet`, `<config>/train-….parquet`, and
 * `<config>/<split>/0000.parquet` (the branch `refs/convert/parquet`, which the Hub makes of every public data set).
 * @throws CadreError `not-found` that lists what there is: no Parquet files, several subsets and none chosen, or another subset or split.
 */
export function chooseSplitFiles(
  paths: readonly string[],
  { config, split, where }: ChooseSplitOptions,
): DatasetSplitFiles {
  const configs = new Map<string, Map<string, string[]>>();
  for (const path of [...paths].sort()) {
    const place = placeOf(path);
    if (place === undefined) continue;
    const splits = configs.get(place.config) ?? new Map<string, string[]>();
    configs.set(place.config, splits);
    splits.set(place.split, [...(splits.get(place.split) ?? []), path]);
  }
  if (configs.size === 0) {
    throw new CadreError(
      "not-found",
      `${where}: expected Parquet files, found none; most public data sets have them at the revision refs/convert/parquet`,
    );
  }
  const [only] = configs.size === 1 ? configs.keys() : [];
  const name = config ?? only;
  const splits = name === undefined ? undefined : configs.get(name);
  if (name === undefined || splits === undefined) throw otherOnes(where, "config", name, [...configs.keys()]);
  const files = splits.get(split);
  if (files === undefined) throw otherOnes(`${where}: ${name}`, "split", split, [...splits.keys()]);
  const count = Number(SHARD.exec(lastPart(files[0] ?? ""))?.groups?.count ?? files.length);
  return { config: name, split, files, isComplete: files.length >= count };
}

function placeOf(path: string): { readonly config: string; readonly split: string } | undefined {
  const folders = path.split("/").slice(0, -1);
  const file = lastPart(path);
  const split = NUMBERED.test(file) ? folders.pop() : SHARD.exec(file)?.groups?.split;
  // The Hub cuts large data sets there; the rest is not to be had as Parquet.
  if (split === undefined || split === "" || split.startsWith("partial-")) return undefined;
  const config = folders.filter((folder) => folder !== "data").at(-1) ?? "default";
  return { config, split };
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function otherOnes(
  where: string,
  kind: "config" | "split",
  name: string | undefined,
  known: readonly string[],
): CadreError {
  const hint = name === undefined ? undefined : nearMiss(name, known);
  const wanted = name === undefined ? `a ${kind} to be named` : `the ${kind} ${JSON.stringify(name)}`;
  return new CadreError(
    "not-found",
    `${where}: expected ${wanted}, found ${known.join(", ")}${hint ? `; did you mean ${hint}?` : ""}`,
  );
}
