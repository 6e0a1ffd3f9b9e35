import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CadreError } from "../../core/errors.js";
import { systemCodeOf, wrapSystemError } from "../../core/node/system-error.js";
import { isExpertId } from "../expert-name.js";
import type { ExpertManifest } from "../manifest.js";
import { EXPERTS_FOLDER } from "../stored-files.js";
import { type Expert, readExpertFolder, readManifest } from "./expert-folder.js";
import { temporaryNames } from "./leftovers.js";
import { idsIn, openLibrary } from "./library.js";
import { checkStoredFile } from "./plain-file.js";

/** What is wrong with a library. */
export interface LibraryProblem {
  /** Id of the expert; absent for what concerns the library. */
  readonly expert?: string;
  readonly message: string;
}

/** What `verifyLibrary` found. */
export interface LibraryVerification {
  /** Experts that were looked at. */
  readonly experts: number;
  readonly problems: readonly LibraryProblem[];
  /** Temporary names of adds that are under way or were killed; they do no harm, and a later add removes them. */
  readonly leftovers: readonly string[];
}

/** Options of `verifyLibrary`. */
export interface VerifyLibraryOptions {
  /** The base that the library should be for; default: its own. */
  readonly base?: { readonly id?: string; readonly hash: string };
  /** Checks of an expert that needs knowledge of delta kinds; what it throws counts as a problem. */
  readonly checkExpert?: (expert: Expert) => void;
}

/** Reads every file of a library and lists everything that is wrong; that it cannot be opened is a problem, too. @throws CadreError `io`. */
export async function verifyLibrary(path: string, options: VerifyLibraryOptions = {}): Promise<LibraryVerification> {
  const root = resolve(path);
  const experts = join(root, EXPERTS_FOLDER);
  const problems: LibraryProblem[] = [];
  const leftovers = [...(await temporaryNames(root)), ...(await temporaryNames(experts))];
  const library = await openLibrary(root, options.base === undefined ? {} : { base: options.base }).catch(
    (error: unknown) => {
      problems.push({ message: messageOf(error) });
      return undefined;
    },
  );
  const scanned = await library?.scan();
  for (const { id, error } of scanned?.problems ?? []) problems.push({ expert: id, message: error.message });
  const ids = await idsIn(experts);
  for (const id of ids) {
    const manifest = await readManifest(join(experts, id)).catch((error: unknown) => {
      // The scan has said so, where there was one.
      if (scanned === undefined) problems.push({ expert: id, message: messageOf(error) });
      return undefined;
    });
    if (manifest === undefined) continue;
    const messages = await problemsOfFiles(join(experts, id), { manifest, checkExpert: options.checkExpert });
    problems.push(...messages.map((message) => ({ expert: id, message })));
  }
  for (const name of await strangersIn(experts)) {
    problems.push({ message: `${join(experts, name)}: expected folders of experts only; move it elsewhere` });
  }
  return { experts: ids.length, problems, leftovers };
}

async function problemsOfFiles(
  folder: string,
  {
    manifest,
    checkExpert,
  }: { readonly manifest: ExpertManifest; readonly checkExpert: VerifyLibraryOptions["checkExpert"] },
): Promise<string[]> {
  const messages: string[] = [];
  for (const [name, stored] of Object.entries(manifest.files)) {
    await checkStoredFile(join(folder, name), stored).catch((error: unknown) => messages.push(messageOf(error)));
  }
  if (messages.length > 0) return messages;
  try {
    checkExpert?.(await readExpertFolder(folder));
  } catch (error) {
    messages.push(messageOf(error));
  }
  return messages;
}

async function strangersIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: unknown): string[] => {
    if (systemCodeOf(error) === "ENOENT") return [];
    throw wrapSystemError(error, `cannot read ${folder}`);
  });
  const temporary = new Set(await temporaryNames(folder));
  // Files that systems put into every folder that is looked at begin with a dot.
  return names.filter((name) => !isExpertId(name) && !temporary.has(name) && !name.startsWith(".")).sort();
}

/** What to tell of an error; a fault in Cadre or a lack of memory is no fault of the library. */
function messageOf(error: unknown): string {
  if (!CadreError.isInstance(error) || error.code === "internal" || error.code === "out-of-memory") throw error;
  return error.message;
}
