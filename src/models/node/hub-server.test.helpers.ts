import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

/** A repository of the imitated Hub. */
export interface FakeRepository {
  /** Default a model. */
  readonly type?: "model" | "dataset";
  readonly name: string;
  readonly commit: string;
  /** Other revisions by name; `main` is always the commit. */
  readonly revisions?: readonly string[];
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** Files kept by their SHA-256 on another host, as large ones are. */
  readonly large: readonly string[];
}

/** What a request asked for. */
export interface SeenRequest {
  readonly host: "hub" | "store";
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

/** A hook that may answer in place of the server. @returns true when it has. */
export type Intercept = (seen: SeenRequest, response: ServerResponse) => boolean;

/** A running imitation of the Hub: its API, small files itself, large ones by a redirect to a second server. */
export interface FakeHub extends AsyncDisposable {
  readonly endpoint: string;
  readonly seen: SeenRequest[];
  intercept: Intercept;
}

/** SHA-256 of bytes. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Git's hash of a blob. */
export function gitSha1(bytes: Uint8Array): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

/** Starts it on free local ports. */
export async function startFakeHub(repository: FakeRepository): Promise<FakeHub> {
  const seen: SeenRequest[] = [];
  const servers: Server[] = [];
  const note = (host: SeenRequest["host"], request: IncomingMessage): SeenRequest => {
    const { range, authorization } = request.headers;
    const one = { host, path: decodeURIComponent(request.url ?? ""), range, authorization };
    seen.push(one);
    return one;
  };
  const listen = (handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> =>
    new Promise((started, failed) => {
      const server = createServer(handler);
      servers.push(server);
      server.once("error", failed);
      server.listen(0, "127.0.0.1", () => {
        const address = server.address();
        started(`http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`);
      });
    });

  const store = await listen((request, response) => {
    const one = note("store", request);
    if (hub.intercept(one, response)) return;
    const file = repository.large.find((name) => one.path === `/${name}`);
    sendBytes(response, repository.files[file ?? ""], one.range);
  });
  const endpoint = await listen((request, response) => {
    const one = note("hub", request);
    if (!hub.intercept(one, response)) answer(repository, { one, response, store });
  });
  const hub: FakeHub = {
    endpoint,
    seen,
    intercept: () => false,
    [Symbol.asyncDispose]: async () => {
      for (const server of servers) {
        server.closeAllConnections();
        await new Promise((closed) => server.close(closed));
      }
    },
  };
  return hub;
}

function answer(
  repository: FakeRepository,
  { one, response, store }: { one: SeenRequest; response: ServerResponse; store: string },
): void {
  const { type = "model", name, commit, files, large } = repository;
  const path = one.path.split("?")[0] ?? "";
  const information = `/api/${type}s/${name}/revision/`;
  const content = `${type === "model" ? "" : "/datasets"}/${name}/resolve/${commit}/`;
  const file = path.startsWith(content) ? path.slice(content.length) : "";
  if (path.startsWith(information)) {
    const known = ["main", commit, ...(repository.revisions ?? [])].includes(path.slice(information.length));
    if (known) sendJson(response, { _id: "1", id: name, sha: commit, private: false, lastModified: "2024-01-01" });
    else refuse(response, 404, "RevisionNotFound");
  } else if (path === `/api/${type}s/${name}/tree/${commit}`) {
    const listing = Object.entries(files).map(([file, bytes]) => ({
      type: "file",
      path: file,
      size: bytes.length,
      oid: gitSha1(bytes),
      ...(large.includes(file) ? { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } } : {}),
    }));
    sendJson(response, [{ type: "directory", path: "onnx", size: 0, oid: "0".repeat(40) }, ...listing]);
  } else if (large.includes(file)) {
    response.writeHead(302, { location: `${store}/${file}` }).end();
  } else if (file in files) {
    sendBytes(response, files[file], one.range);
  } else {
    refuse(response, path.startsWith(`/${name}/`) ? 404 : 401, "RepoNotFound");
  }
}

/** Answers a refusal as the Hub does. */
export function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { "x-error-code": code, "content-type": "application/json" });
  response.end(JSON.stringify({ error: code }));
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}

function sendBytes(response: ServerResponse, bytes: Uint8Array | undefined, range: string | undefined): void {
  if (bytes === undefined) {
    refuse(response, 404, "EntryNotFound");
    return;
  }
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
  const headers = { "content-length": bytes.length - from };
  if (range === undefined) response.writeHead(200, headers);
  else response.writeHead(206, { ...headers, "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` });
  response.end(bytes.subarray(from));
}
