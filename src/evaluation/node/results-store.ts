import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { CadreError } from "../../core/errors.js";
import { sha256 } from "../../core/hash.js";
import { removeLeftovers, writeFileAtomic } from "../../core/node/atomic-write.js";
import { readJson } from "../../core/node/json.js";
import { wrapSystemError } from "../../core/node/system-error.js";
import { parseConfig } from "../../core/parse-config.js";
import { type Cell, cellSchema, type EvaluationIdentity, identitySchema } from "../results-schema.js";
import type { CellKey, ResultsStore } from "../results-store.js";

const headerSchema = z.looseObject({
  format: z.literal("cadre-results-store"),
  formatVersion: z.literal(1),
  identity: identitySchema,
});

/** Letters of a name that a file's name shows; the hash behind them tells names apart. */
const SHOWN_LETTERS = 40;

/**
 * Opens a store of finished cells in a folder, or makes it: one file a cell, each written whole or not at all, so that several processes may share the
 * work. Call it only where all writers run on this machine, see `removeLeftovers`.
 * @throws CadreError `mismatch` where the folder holds cells of another base or other settings.
 */
export async function openResultsStore(folder: string, identity: EvaluationIdentity): Promise<ResultsStore> {
  const cells = join(folder, "cells");
  await mkdir(cells, { recursive: true }).catch((error: unknown) => {
    throw wrapSystemError(error, `cannot make ${cells}`);
  });
  const header = join(folder, "evaluation.json");
  if ((await readIdentity(header)) === undefined) {
    const content: z.input<typeof headerSchema> = { format: "cadre-results-store", formatVersion: 1, identity };
    await writeFileAtomic(header, `${JSON.stringify(content, null, 2)}\n`);
  }
  // Read again: another process may have written at the same time.
  expectIdentity(await readIdentity(header), { identity, header });
  await removeLeftovers(folder);
  await removeLeftovers(cells);
  const pathOf = async (key: CellKey): Promise<string> => join(cells, await fileName(key));
  const find = async (key: CellKey): Promise<Cell | undefined> => readCell(await pathOf(key), key);
  const keep = async (cell: Cell): Promise<Cell> => writeCell(await pathOf(cell), cell);
  return {
    find,
    keep,
    cell: async (key, answer) => (await find(key)) ?? keep({ ...key, ...(await answer()) }),
  };
}

async function readIfThere(path: string): Promise<unknown> {
  return readJson(path).catch((error: unknown) => {
    if (CadreError.isInstance(error) && error.code === "not-found") {
      return undefined;
    }
    throw error;
  });
}

async function readIdentity(path: string): Promise<EvaluationIdentity | undefined> {
  const value = await readIfThere(path);
  return value === undefined
    ? undefined
    : parseConfig(headerSchema, value, { where: path, code: "invalid-file" }).identity;
}

function expectIdentity(
  found: EvaluationIdentity | undefined,
  { identity, header }: { readonly identity: EvaluationIdentity; readonly header: string },
): void {
  const facts = ({ base, settings }: EvaluationIdentity) =>
    new Map<string, unknown>([["base", base], ...Object.entries(settings)]);
  const expected = facts(identity);
  const stored = found === undefined ? new Map<string, unknown>() : facts(found);
  const differing = [...new Set([...expected.keys(), ...stored.keys()])].filter(
    (name) => expected.get(name) !== stored.get(name),
  );
  if (differing.length > 0) {
    const list = differing.map(
      (name) => `${name}: expected ${String(expected.get(name))}, found ${String(stored.get(name))}`,
    );
    throw new CadreError(
      "mismatch",
      `${header}: these results are of another evaluation (${list.join("; ")}); take another folder, or delete this one`,
      { details: { path: header, differing } },
    );
  }
}

async function readCell(path: string, key: CellKey): Promise<Cell | undefined> {
  const value = await readIfThere(path);
  if (value === undefined) {
    return undefined;
  }
  const cell = parseConfig(cellSchema, value, { where: path, code: "invalid-file" });
  if (keyText(cell) !== keyText(key)) {
    throw new CadreError(
      "invalid-file",
      `${path}: expected the cell of ${keyText(key)}, found that of ${keyText(cell)}`,
      {
        details: { path },
      },
    );
  }
  return cell;
}

async function writeCell(path: string, cell: Cell): Promise<Cell> {
  const checked = parseConfig(cellSchema, cell, {
    where: `cell of ${cell.system} on "${cell.task}"`,
    code: "invalid-argument",
  });
  await writeFileAtomic(path, `${JSON.stringify(checked)}\n`);
  return checked;
}

function keyText({ system, systemSha256, task, taskSha256 }: CellKey): string {
  return JSON.stringify([system, systemSha256, task, taskSha256]);
}

async function fileName(key: CellKey): Promise<string> {
  const hash = await sha256(new TextEncoder().encode(keyText(key)));
  const shown = [key.system, key.task].map((name) =>
    name
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, "-")
      .slice(0, SHOWN_LETTERS),
  );
  return `${shown.join("--")}--${hash.slice(0, 16)}.json`;
}
