/**
 * Answers over HTTP in a server of one's own, token by token. When a client leaves, its answer stops and frees what it held. OpenAI's interface
 * is `createHandler(cadre)` of `cadre/serving`, or `cadre serve` without a program.
 *
 *   node stream-server.js LIBRARY [port]
 *   curl -N http://127.0.0.1:3000/ -d "Write a title: ..."
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { CadreError, openCadre } from "cadre";

const [library = "library", port = "3000"] = process.argv.slice(2);
await using cadre = await openCadre(library);

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const left = new AbortController();
  response.on("close", () => left.abort());
  try {
    const input = await text(request);
    for await (const part of cadre.stream(input, { maxTokens: 40, signal: left.signal })) response.write(part.text);
  } catch (error) {
    if (left.signal.aborted) return;
    const isCallers = CadreError.isInstance(error) && error.code === "invalid-argument";
    if (!isCallers) console.error(error);
    if (!response.headersSent) response.statusCode = isCallers ? 400 : 500;
    response.write(isCallers ? error.message : "the answer failed");
  }
  response.end();
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
