import type { ExpertManifest } from "../library/manifest.js";
import type { ExpertEntry, Library } from "../library/node/library.js";

/** A library's experts as a table. */
export function describeExperts({ path, base }: Library, experts: readonly ExpertEntry[]): string {
  const rows = experts.map(({ id, manifest }) => [
    manifest.name,
    id,
    manifest.role === "multitask" ? `${manifest.delta.kind} (multitask)` : manifest.delta.kind,
    oneLine(manifest.task),
    score(manifest),
    manifest.keys === undefined ? "-" : String(manifest.keys.count),
  ]);
  const header = ["expert", "id", "delta", "task", "score", "keys"];
  const widths = header.map((title, column) =>
    Math.max(...[header, ...rows].map((row) => width(row[column] ?? title))),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell + " ".repeat(Math.max(0, (widths[column] ?? 0) - width(cell))))
      .join("  ")
      .trimEnd();
  const count = experts.length === 1 ? "1 expert" : `${experts.length} experts`;
  return [`${path}: ${count} on ${base.id}`, ...(rows.length > 0 ? ["", line(header), ...rows.map(line)] : [])].join(
    "\n",
  );
}

/** One expert, field by field; texts of others in quotes, so that they cannot reach the terminal. */
export function describeExpert({ id, manifest }: ExpertEntry): string {
  const { delta, base, keys, origin, files } = manifest;
  const bytes = Object.values(files).reduce((sum, file) => sum + file.bytes, 0);
  const fields: readonly (readonly [string, string | undefined])[] = [
    ["name", manifest.name],
    ["id", id],
    ["role", manifest.role === "multitask" ? "multitask: never chosen by routing" : manifest.role],
    ["delta", `${delta.kind} ${quote(delta.config)}`],
    ["base", `${quote(base.id)}, hash ${base.hash}`],
    ["task", quote(manifest.task)],
    ["template", manifest.template === undefined ? undefined : quote(manifest.template)],
    ["choices", manifest.choices === undefined ? undefined : quote(manifest.choices)],
    ["metric", manifest.metric === undefined ? undefined : quote(manifest.metric)],
    ["metrics", quote(manifest.metrics)],
    ["origin", `${origin.kind} ${quote(origin.recipe)}`],
    ["seed", manifest.seed?.toString()],
    [
      "keys",
      keys === undefined
        ? "none"
        : `${keys.count} of ${quote(keys.encoder.id)}, texts ${keys.text === "stored" ? "stored" : "not stored"}`,
    ],
    ["created", manifest.created],
    ["files", `${Object.keys(files).join(", ")}; ${(bytes / 2 ** 20).toFixed(2)} MiB`],
  ];
  return fields.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(9)}${value}`])).join("\n");
}

/** A value as JSON without characters that steer a terminal, of which JSON itself escapes only some. */
export function quote(value: unknown): string {
  return (JSON.stringify(value) ?? "").replace(
    /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The task's metric where it was measured. */
function score({ metric, metrics }: ExpertManifest): string {
  if (metric === undefined || !Object.hasOwn(metrics, metric)) return "-";
  return `${oneLine(metric)} ${(metrics[metric] ?? 0).toFixed(3)}`;
}

function oneLine(text: string): string {
  const safe = text.replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/gu, "?");
  return safe.length > 40 ? `${safe.slice(0, 39)}…` : safe;
}

/** Columns of a text on a terminal, roughly: wide letters and emoji take two. */
function width(text: string): number {
  return [...text].reduce(
    (sum, character) =>
      sum +
      (/[\p{Extended_Pictographic}\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60]/u.test(character)
        ? 2
        : 1),
    0,
  );
}
