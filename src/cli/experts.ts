import { resolve } from "node:path";
import { importAdapter } from "../cadre/node/import-adapter.js";
import { openReferencedBase } from "../cadre/node/referenced-base.js";
import { CadreError, EXIT_CODES } from "../core/errors.js";
import { checkStoredExpert } from "../experts/stored-delta.js";
import type { BaseReference } from "../library/manifest.js";
import { type Expert, readExpertFolder } from "../library/node/expert-folder.js";
import { exportExpert } from "../library/node/export-expert.js";
import { createLibrary, type ExpertEntry, type Library, openLibrary } from "../library/node/library.js";
import { type LibraryVerification, verifyLibrary } from "../library/node/verify.js";
import type { ModelFolder } from "../models/node/model-folder.js";
import { describeExpert, describeExperts } from "./describe-experts.js";

/** What every command of `cadre experts` takes. */
export interface ExpertsOptions {
  readonly json?: boolean;
}

/** `cadre experts list LIBRARY`. Damaged experts are named after the others, with exit code 3. */
export async function listExperts(path: string, { json }: ExpertsOptions): Promise<void> {
  const library = await openLibrary(path);
  const { experts, problems } = await library.scan();
  if (json === true) {
    print({
      path: library.path,
      base: library.base,
      experts: experts.map(jsonOf),
      problems: problems.map(({ id, error }) => ({ expert: id, message: error.message })),
    });
  } else {
    console.log(describeExperts(library, experts));
    for (const { id, error } of problems) console.error(`${id}: ${error.message}`);
  }
  if (problems.length > 0) process.exitCode = EXIT_CODES.input;
}

/** `cadre experts show LIBRARY EXPERT`. */
export async function showExpert(path: string, wanted: string, { json }: ExpertsOptions): Promise<void> {
  const library = await openLibrary(path);
  const entry = await library.find(wanted);
  if (json === true) print(jsonOf(entry));
  else console.log(describeExpert(entry));
}

/** `cadre experts add LIBRARY FOLDER…`: a library that is not there yet is made for the first expert's base. */
export async function addExperts(
  path: string,
  folders: readonly string[],
  { json, name, withoutKeys }: ExpertsOptions & { readonly name?: string; readonly withoutKeys?: boolean },
): Promise<void> {
  if (name !== undefined && folders.length > 1) {
    throw new CadreError("invalid-argument", `--name: expected one folder with it, got ${folders.length}`);
  }
  const added: ExpertEntry[] = [];
  for (const folder of folders) {
    const { keys, ...expert } = await readCadreFolder(folder);
    checkStoredExpert(expert, { where: folder });
    const library = await openOrCreate(path, expert.manifest.base);
    const entry = await library.add({
      ...expert,
      manifest: { ...expert.manifest, name: name ?? expert.manifest.name },
      base: expert.manifest.base,
      ...(withoutKeys === true ? {} : { keys }),
    });
    added.push(entry);
    if (json !== true) console.log(`added ${entry.manifest.name} (${entry.id})`);
  }
  if (json === true) print(added.map(jsonOf));
}

/** `cadre experts remove LIBRARY EXPERT…`. */
export async function removeExperts(path: string, wanted: readonly string[], { json }: ExpertsOptions): Promise<void> {
  const library = await openLibrary(path);
  for (const expert of wanted) {
    await library.remove(expert);
    if (json !== true) console.log(`removed ${expert}`);
  }
  if (json === true) print({ removed: wanted });
}

/** `cadre experts verify LIBRARY`: exit code 3 where anything is wrong. */
export async function verifyExperts(
  path: string,
  { json, base }: ExpertsOptions & { readonly base?: string },
): Promise<void> {
  const verification = await verifyOn(path, base);
  if (json === true) {
    print(verification);
  } else {
    const { experts, problems, leftovers } = verification;
    for (const { expert, message } of problems) console.log(expert === undefined ? message : `${expert}: ${message}`);
    if (leftovers.length > 0) {
      console.log(
        `${leftovers.length} temporary folders of adds that are under way or were stopped; a later add removes them`,
      );
    }
    console.log(
      `${counted(experts, "expert")}, ${problems.length === 0 ? "no problem" : counted(problems.length, "problem")}`,
    );
  }
  if (verification.problems.length > 0) process.exitCode = EXIT_CODES.input;
}

async function verifyOn(path: string, base: string | undefined): Promise<LibraryVerification> {
  const check = (model?: ModelFolder["model"]) => ({
    checkExpert: (expert: Expert) => {
      checkStoredExpert(expert, { where: expert.manifest.name, ...(model === undefined ? {} : { model }) });
    },
  });
  if (base === undefined) return verifyLibrary(path, check());
  await using opened = await openReferencedBase(base);
  return await verifyLibrary(path, { base: opened.reference, ...check(opened.model) });
}

/** `cadre experts import LIBRARY FOLDER`: an adapter that PEFT saved. */
export async function importExpert(
  path: string,
  folder: string,
  options: ExpertsOptions & { readonly name?: string; readonly task?: string; readonly base?: string },
): Promise<void> {
  const { json, ...how } = options;
  const entry = await importAdapter(path, folder, how);
  if (json === true) {
    print(jsonOf(entry));
    return;
  }
  console.log(`imported ${entry.manifest.name} (${entry.id})`);
  if (entry.neutral.length > 0) {
    console.log(`${entry.neutral.length} projections that it leaves alone got values that change nothing`);
  }
  console.log(
    `PEFT does not record which weights an adapter was trained on; it named ${JSON.stringify(entry.namedBase ?? null)}`,
  );
}

/** `cadre experts export LIBRARY EXPERT FOLDER`. */
export async function exportExpertCommand(
  path: string,
  wanted: string,
  folder: string,
  { json, withoutKeys }: ExpertsOptions & { readonly withoutKeys?: boolean },
): Promise<void> {
  const library = await openLibrary(path);
  const { id, ...expert } = await library.read(wanted);
  const manifest = await exportExpert(folder, { expert, withoutKeys: withoutKeys ?? false });
  if (json === true) {
    print({ id, folder: resolve(folder), manifest });
    return;
  }
  const { keys } = manifest;
  console.log(`wrote ${folder}`);
  if (keys !== undefined) {
    const what = keys.text === "stored" ? "its training inputs as texts" : "embeddings of its training inputs";
    console.log(`it holds ${what}: export it --without-keys if nobody else may have them`);
  }
}

async function readCadreFolder(folder: string): Promise<Expert> {
  return readExpertFolder(folder).catch((error: unknown) => {
    if (!(CadreError.isInstance(error) && error.code === "not-found")) throw error;
    throw new CadreError(
      "not-found",
      `${folder}: expected an expert's folder with expert.json, as cadre train RECIPE.yaml and cadre experts export write it (${error.message}); ` +
        "an adapter that PEFT saved is taken by cadre experts import",
      { cause: error },
    );
  });
}

async function openOrCreate(path: string, base: BaseReference): Promise<Library> {
  try {
    return await openLibrary(path);
  } catch (error) {
    if (!(CadreError.isInstance(error) && error.code === "not-found")) throw error;
    return createLibrary(path, { base: { id: base.id, hash: base.hash } });
  }
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function jsonOf({ id, manifest }: ExpertEntry): Readonly<Record<string, unknown>> {
  return { id, ...manifest };
}

function print(value: unknown): void {
  console.log(JSON.stringify(value, null, 2));
}
