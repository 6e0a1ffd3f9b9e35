import { CadreError, throwIfAborted } from "../../core/errors.js";
import { type EventHandler, emit } from "../../core/events.js";
import { createTurns } from "../../core/turns.js";
import { shownValue } from "../../generation/shown-value.js";
import { hashBase } from "../../library/base-hash.js";
import { type Library, openLibrary } from "../../library/node/library.js";
import type { HubEvent } from "../../models/node/hub-snapshot.js";
import { type ModelFolder, openModelFolder } from "../../models/node/model-folder.js";
import { resolveBase } from "../../models/node/resolve-base.js";
import { formatText } from "../../routing/text-format.js";
import type { DeviceKind } from "../../runtime/device.js";
import { openTokenizer } from "../../tokenizers/node/open-tokenizer.js";
import type { AnswerRouting, AskOptions, Cadre, Embeddings } from "../cadre.js";
import { answerChoices } from "./answer-choices.js";
import { answerText, streamText } from "./answer-text.js";
import { createCallGuard } from "./call-guard.js";
import { openEngine } from "./engine.js";
import { createEngineKeeper } from "./engine-keeper.js";
import { createExpertReader } from "./expert-reader.js";
import { viewLibrary } from "./library-view.js";
import { chooseExperts, expectOptions, expectText, type Session } from "./session.js";

/** Shortest limit of inputs: a token and the end token. */
const LEAST_INPUT = 2;
/** As `createChoiceScorer` and `createTokenGenerator`. */
const DEFAULT_INPUT = 512;

/** Options of {@link openCadre}. */
export interface OpenCadreOptions {
  /** Threads of one operator, 1 or more; default: the cores that this process may use. */
  readonly threads?: number;
  /** Where to answer; default `cpu`. */
  readonly device?: DeviceKind;
  /** Most tokens of an input, end token included; longer ones lose their end, and answers say how much. Default 512. */
  readonly inputLength?: number;
  /** A model folder or an id on the Hugging Face Hub, where the library's own name of its base means nothing here. */
  readonly base?: string;
  /** Fetch nothing: the base is a folder, the one that ships, or in the cache. */
  readonly offline?: boolean;
  /** Stops opening. */
  readonly signal?: AbortSignal;
  /** Told how the base is fetched. */
  readonly onEvent?: EventHandler<HubEvent>;
}

/**
 * Loads a library on a device, ready to answer. Experts are read when they are first asked; the last ones that were used stay in memory, up to
 * 512 MiB of them. Calls that overlap share batches: an answer depends on them by rounding alone (about 1e-6 of it).
 *
 * An input is the text that a model reads: of an expert that was trained with a template, what the template makes of a row.
 * @param path Folder of the library.
 * @throws CadreError `not-found` (no library, no such base), `mismatch` (another base than the experts'), `invalid-argument`, `unavailable` (device);
 * as `openLibrary`, `resolveBase`, `openModelFolder` and `openDevice`.
 * @example
 * await using cadre = await openCadre("./library");
 * const { choice } = await cadre.classify("I was charged twice");
 */
export async function openCadre(path: string, options: OpenCadreOptions = {}): Promise<Cadre> {
  expectText(path, "openCadre: path");
  expectOptions(options, "openCadre");
  const { inputLength = DEFAULT_INPUT, signal } = options;
  if (!Number.isSafeInteger(inputLength) || inputLength < LEAST_INPUT) {
    throw new CadreError(
      "invalid-argument",
      `openCadre: inputLength: expected a whole number of ${LEAST_INPUT} or more, got ${shownValue(inputLength)}`,
    );
  }
  throwIfAborted(signal);
  const library = await openLibrary(path);
  const { base, folder } = await openBase(library, options);
  try {
    const tokenizer = await openTokenizer(folder);
    const device = {
      ...(options.device === undefined ? {} : { kind: options.device }),
      ...(options.threads === undefined ? {} : { threads: options.threads }),
    };
    const keeper = createEngineKeeper(() => openEngine({ device, library, base, tokenizer, inputLength }));
    let view = await viewLibrary(library);
    // What is wrong with the device shows now.
    await keeper.use(async () => undefined);
    const session: Session = {
      ...{ base, tokenizer, inputLength, keeper },
      guard: createCallGuard(),
      reader: createExpertReader({ library, model: base.model }),
      view: () => view,
    };
    const refreshing = createTurns();
    let closed: Promise<void> | undefined;
    const close = (): Promise<void> => {
      session.guard.close();
      closed ??= keeper.close().then(() => base[Symbol.asyncDispose]());
      return closed;
    };
    return {
      base: library.base.id,
      get experts() {
        return view.catalog.summaries;
      },
      classify: (input, asked = {}) => answerChoices(session, input, asked),
      generate: (input, asked = {}) => answerText(session, input, asked),
      stream: (input, asked = {}) => streamText(session, input, asked),
      route: (input, asked = {}) => routeText(session, input, asked),
      embed: (texts, asked = {}) => embedTexts(session, texts, asked),
      refresh: () =>
        session.guard.run(() =>
          refreshing.run(async () => {
            const before = view;
            view = await viewLibrary(library, before);
            if (view !== before) await (await keeper.present())?.retire(before);
          }),
        ),
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await base[Symbol.asyncDispose]();
    throw error;
  }
}

/** The base of a library. @throws CadreError `mismatch` where it is another than that of the experts. */
async function openBase(
  library: Library,
  { base: given, offline, signal, onEvent }: OpenCadreOptions,
): Promise<{ readonly base: ModelFolder; readonly folder: string }> {
  const name = given ?? library.base.id;
  const folder = await resolveBase(name, {
    ...(offline === undefined ? {} : { offline }),
    ...(signal === undefined ? {} : { signal }),
    onProgress: (event) => emit(onEvent, event),
  });
  const base = await openModelFolder(folder);
  try {
    const found = await hashBase({ ...base, ...(signal === undefined ? {} : { signal }) });
    if (found !== library.base.hash) {
      throw new CadreError(
        "mismatch",
        `${library.path}: expected the base of its experts, ${JSON.stringify(library.base.id)} with hash ${library.base.hash.slice(0, 16)}…, ` +
          `found ${JSON.stringify(name)} with hash ${found.slice(0, 16)}…; say by the option base where that one lies`,
        { details: { path: library.path, expected: library.base.hash, found } },
      );
    }
    return { base, folder };
  } catch (error) {
    await base[Symbol.asyncDispose]();
    throw error;
  }
}

/** `Cadre.route`. */
async function routeText(session: Session, input: string, options: AskOptions): Promise<AnswerRouting> {
  expectText(input, "route");
  expectOptions(options, "route");
  const { experts, signal } = options;
  const { guard, keeper } = session;
  const view = session.view();
  const choose = (ended: AbortSignal) =>
    keeper.use((engine) => chooseExperts({ input, experts }, { engine, view, signal: ended }));
  return (await guard.run(choose, signal)).routing;
}

/** `Cadre.embed`. */
async function embedTexts(
  session: Session,
  texts: readonly string[],
  options: { readonly signal?: AbortSignal },
): Promise<Embeddings> {
  // JavaScript callers may pass anything.
  if (!Array.isArray(texts)) {
    throw new CadreError("invalid-argument", `embed: expected a list of texts, got ${shownValue(texts)}`);
  }
  expectOptions(options, "embed");
  if (texts.length === 0) throw new CadreError("invalid-argument", "embed: expected at least one text, got none");
  for (const [index, text] of texts.entries()) expectText(text, `embed: text ${index}`);
  const { guard, keeper, tokenizer } = session;
  const view = session.view();
  return await guard.run(
    (ended) =>
      keeper.use((engine) =>
        engine.embed(view, async ({ embedder, format, tokensCut }) => {
          const { width } = embedder.identity;
          const written = texts.map((input) => formatText({ input }, format));
          const all = await embedder.embed(written, { signal: ended });
          const cut = written.map(tokensCut);
          const given = texts.reduce((sum, text) => sum + tokenizer.encode(text).length, 0);
          return {
            vectors: texts.map((_, index) => all.slice(index * width, (index + 1) * width)),
            width,
            inputTokens: given - cut.reduce((sum, one) => sum + one, 0),
            ...(cut.some((one) => one > 0) ? { inputTokensCut: cut } : {}),
          };
        }),
      ),
    options.signal,
  );
}
