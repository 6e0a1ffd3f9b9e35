import type * as z from "zod";
import { CadreError } from "../core/errors.js";
import { nearMiss } from "../core/near-miss.js";
import { describeProblems } from "../core/parse-config.js";
import { parseJson } from "../core/parse-json.js";
import { quote } from "../tasks/row-values.js";
import type { ServingLimits } from "./limits.js";
import { Refusal } from "./problem.js";
import { openScope } from "./request-scope.js";

/** What an endpoint takes. */
export interface BodyFormat<Schema extends z.ZodObject> {
  readonly schema: Schema;
  /** Fields that would change the answer and that Cadre does not have, with whether a value of theirs asks for nothing. */
  readonly unsupported: Readonly<Record<string, (value: unknown, body: Readonly<Record<string, unknown>>) => boolean>>;
  /** Fields that are called otherwise here, under the names that other servers and the façade give them. */
  readonly renamed: Readonly<Record<string, string>>;
}

/** Whether a value is one of those that ask for nothing. */
export const only =
  (...neutral: readonly unknown[]) =>
  (value: unknown): boolean =>
    neutral.some((candidate) => JSON.stringify(candidate) === JSON.stringify(value));

/** Each unknown field is compared with the known ones, which takes time. */
const MOST_FIELDS = 100;
/** Characters of an unknown field's name that are compared and shown. */
const MOST_NAME = 100;

/** Fields of OpenAI's that do not change an answer. */
const PASSED_OVER: ReadonlySet<string> = new Set([
  "user",
  "metadata",
  "store",
  "service_tier",
  "safety_identifier",
  "prompt_cache_key",
  "prompt_cache_retention",
]);

/**
 * A request's JSON body. Fields that nobody knows are passed over, unless they look like a slip of one that counts.
 * @throws Refusal 400 naming the field, 408, 413, 415, 499.
 */
export async function readBody<Schema extends z.ZodObject>(
  request: Request,
  format: BodyFormat<Schema>,
  limits: ServingLimits,
): Promise<z.output<Schema>> {
  checkContentType(request);
  const value = parse(await readBytes(request, limits));
  const fields = Object.entries(value);
  if (fields.length > MOST_FIELDS) {
    throw badRequest(`the request's body: expected at most ${MOST_FIELDS} fields, found ${fields.length}`);
  }
  for (const [name, field] of fields) {
    checkField(name, field, { value, ...format });
  }
  const parsed = format.schema.safeParse(value);
  if (!parsed.success) {
    const param = parsed.error.issues[0]?.path.join(".") ?? "";
    throw badRequest(`the request's body:\n${describeProblems(parsed.error)}`, { param });
  }
  return parsed.data;
}

function checkField<Schema extends z.ZodObject>(
  name: string,
  field: unknown,
  { value, schema, unsupported, renamed }: { readonly value: Readonly<Record<string, unknown>> } & BodyFormat<Schema>,
): void {
  if (field === null || PASSED_OVER.has(name) || Object.hasOwn(schema.shape, name)) return;
  if (Object.hasOwn(unsupported, name)) {
    if (unsupported[name]?.(field, value)) return;
    throw badRequest(`${name}: Cadre does not have it, and it would change the answer; leave it out`, {
      param: name,
      code: "unsupported_parameter",
    });
  }
  if (Object.hasOwn(renamed, name)) {
    throw badRequest(`${name}: no such field here; use ${renamed[name]}`, {
      param: name,
      code: "unsupported_parameter",
    });
  }
  const shown = name.slice(0, MOST_NAME);
  const meant = nearMiss(shown, Object.keys(schema.shape));
  if (meant !== undefined) {
    throw badRequest(`${quote(shown)}: no such field; did you mean ${meant}?`, { param: shown });
  }
}

/** A page of another origin can post other types without asking the browser's leave, this one it cannot. */
function checkContentType(request: Request): void {
  const [type = ""] = (request.headers.get("content-type") ?? "").split(";");
  if (type.trim().toLowerCase() !== "application/json") {
    throw new Refusal({
      status: 415,
      message: `expected the header content-type: application/json, found ${type === "" ? "none" : quote(type)}`,
      code: "unsupported_media_type",
    });
  }
}

async function readBytes(request: Request, { bodyBytes, seconds }: ServingLimits): Promise<Uint8Array> {
  const tooLarge = new Refusal({
    status: 413,
    message: `the request's body: expected at most ${bodyBytes} bytes (the limit bodyBytes), found more; send less at a time`,
    code: "body_too_large",
  });
  if (Number(request.headers.get("content-length")) > bodyBytes) throw tooLarge;
  if (request.body === null) return new Uint8Array();
  using scope = openScope(request.signal, {
    seconds,
    overtime: {
      status: 408,
      message: `the request's body did not arrive within ${seconds} s (the limit seconds)`,
      code: "request_timeout",
    },
  });
  const reader = request.body.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for (let next = await scope.run(reader.read()); !next.done; next = await scope.run(reader.read())) {
      length += next.value.length;
      if (length > bodyBytes) throw tooLarge;
      chunks.push(next.value);
    }
  } catch (error) {
    void reader.cancel().catch(() => {});
    if (error instanceof Refusal) throw error;
    throw badRequest("the request's body broke off");
  }
  return joined(chunks, length);
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

function parse(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = parseJson(bytes, { where: "the request's body" });
  } catch (error) {
    throw CadreError.isInstance(error) ? badRequest(error.message) : error;
  }
  if (!isRecord(value)) throw badRequest("the request's body: expected a JSON object");
  return value;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function badRequest(
  message: string,
  { param = "", code = "invalid_body" }: { readonly param?: string; readonly code?: string } = {},
): Refusal {
  return new Refusal({ status: 400, message, code, ...(param === "" ? {} : { param }) });
}
