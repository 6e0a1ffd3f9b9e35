import type { Cadre } from "../cadre/cadre.js";
import { openCadre } from "../cadre/node/open-cadre.js";
import { CadreError } from "../core/errors.js";
import type { HubEvent } from "../models/node/hub-snapshot.js";
import type { ServingFailure } from "../serving/handler.js";
import { DEFAULT_LIMITS, servingLimits } from "../serving/limits.js";
import { type CadreServer, checkAccess, listen } from "../serving/node/listen.js";
import { deviceOptions, numberOption, offlineOption } from "./options.js";

/** What the command line passes. */
export interface ServeCommandOptions {
  readonly port: string;
  readonly host: string;
  readonly apiKey?: string;
  readonly cors?: readonly string[];
  readonly limit?: readonly string[];
  readonly base?: string;
  readonly offline?: boolean;
  readonly device?: string;
  readonly threads?: string;
}

/** `cadre serve LIBRARY`: ends after Ctrl-C or SIGTERM. */
export async function serveCommand(library: string, options: ServeCommandOptions): Promise<void> {
  const port = numberOption("port", options.port, { minimum: 0, maximum: 65_535, integer: true });
  const limits = limitOptions(options.limit ?? []);
  const { kind, ...threads } = deviceOptions(options);
  const apiKey = keyOption(options.apiKey);
  const access = { host: options.host, ...(apiKey === undefined ? {} : { apiKey }) };
  checkAccess(access);
  await using cadre = await openCadre(library, {
    ...threads,
    ...(kind === undefined ? {} : { device: kind }),
    ...(options.base === undefined ? {} : { base: options.base }),
    ...offlineOption(options),
    onEvent: createDownloadPrinter(),
  });
  const server = await listen(cadre, {
    ...access,
    port,
    limits,
    onEvent: printFailure,
    ...(options.cors === undefined ? {} : { cors: options.cors }),
  });
  console.log(describeServer(cadre, server, { hasKey: apiKey !== undefined }));
  await nextStop();
  console.error(`stopping when all are answered, within ${2 * limits.seconds} s; Ctrl-C again stops at once`);
  void nextStop().then(() => server.close(0));
  await server.close();
}

function keyOption(given: string | undefined): string | undefined {
  if (given !== undefined) {
    // Every user of the machine can read the arguments of a process; a title overwrites them.
    process.title = "cadre serve";
    console.error("cadre: --api-key stays in the shell's history; CADRE_API_KEY in the environment does not");
    return given;
  }
  const fromEnvironment = process.env.CADRE_API_KEY;
  return fromEnvironment === "" ? undefined : fromEnvironment;
}

function limitOptions(texts: readonly string[]) {
  const limits = texts.map((text): [string, number] => {
    const [, name = "", value = ""] = /^(\w+)=(.+)$/.exec(text) ?? [];
    if (value === "" || Number.isNaN(Number(value))) {
      const names = Object.keys(DEFAULT_LIMITS).join(", ");
      throw new CadreError("invalid-argument", `--limit: expected NAME=NUMBER with one of ${names}, got "${text}"`);
    }
    return [name, Number(value)];
  });
  return servingLimits(Object.fromEntries(limits));
}

function describeServer(
  { base, experts }: Cadre,
  { url }: CadreServer,
  { hasKey }: { readonly hasKey: boolean },
): string {
  const labels = experts.find(({ choices }) => choices !== undefined);
  const body =
    labels === undefined
      ? { model: "base", input: "I was charged twice", choices: ["billing", "technical"] }
      : { model: labels.id, input: "I was charged twice" };
  const key = hasKey ? ' -H "authorization: Bearer $CADRE_API_KEY"' : "";
  const reachable = url.replace(/\/\/(?:0\.0\.0\.0|\[::\])/, "//127.0.0.1");
  return [
    `${base}, ${experts.length === 1 ? "1 expert" : `${experts.length} experts`}`,
    `listening on ${url}; OpenAI's clients take ${reachable}/v1 as base URL, "auto" as model; Ctrl-C stops`,
    `try: curl ${reachable}/v1/classify -H "content-type: application/json"${key} -d '${JSON.stringify(body)}'`,
  ].join("\n");
}

/** Says which file is fetched, once a file. */
function createDownloadPrinter(): (event: HubEvent) => void {
  let last = "";
  return (event) => {
    const line = event.type === "download" ? `fetching ${event.repository}: ${event.file}` : event.reason;
    if (line !== last) console.error(line);
    last = line;
  };
}

function printFailure({ error, requestId, method, path }: ServingFailure): void {
  console.error(`${method} ${path} (${requestId}) failed:`, error);
}

/** The next Ctrl-C or SIGTERM. */
function nextStop(): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      process.off("SIGINT", stop).off("SIGTERM", stop);
      resolve();
    };
    process.on("SIGINT", stop).on("SIGTERM", stop);
  });
}
