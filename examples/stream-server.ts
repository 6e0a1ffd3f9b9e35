/**
 * Answers over HTTP in a server of one's own, token by token. When a client leaves, its answer stops and frees what it held. OpenAI's interface
 * is `createHandler(cadre)` of `cadre/serving`, or `cadre serve` without a program.
 *
 *   node stream-server.ts LIBRARY [port]
 *   curl -N http://127.0.0.1:3000/ -d "Write a title: ..."
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CadreError, openCadre } from "cadre";

const [library = "library", port = "3000"] = process.argv.slice(2);
/** Longer questions are refused. */
const MOST_BYTES = 64 * 1024;
await using cadre = await openCadre(library);

/** A question's text; undefined where it is too long. */
async function readQuestion(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    // The rest is read, so that the client reads our answer, but not kept.
    if (length <= MOST_BYTES) chunks.push(chunk);
  }
  return length <= MOST_BYTES ? Buffer.concat(chunks).toString() : undefined;
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const left = new AbortController();
  response.on("close", () => left.abort());
  const refuse = (status: number, message: string): void => {
    response.statusCode = status;
    response.end(message);
  };
  try {
    const input = await readQuestion(request);
    if (input === undefined) return refuse(413, `expected at most ${MOST_BYTES} bytes`);
    for await (const part of cadre.stream(input, { maxTokens: 40, signal: left.signal })) response.write(part.text);
    response.end();
  } catch (error) {
    if (left.signal.aborted) return;
    const isCallers = CadreError.isInstance(error) && error.code === "invalid-argument";
    if (!isCallers) console.error(error);
    // A text that breaks off must not look like one that is whole.
    if (response.headersSent) response.destroy();
    else refuse(isCallers ? 400 : 500, isCallers ? error.message : "the answer failed");
  }
}

const server = createServer((request, response) => void answer(request, response));
server.listen(Number(port), "127.0.0.1");
await once(server, "listening");
const { port: taken } = server.address() as AddressInfo;
console.log(`listening on http://127.0.0.1:${taken}/`);

await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
// What is being answered is finished before the cadre closes.
server.close();
await once(server, "close");
