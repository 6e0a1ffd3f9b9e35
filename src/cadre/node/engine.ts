import type { Library } from "../../library/node/library.js";
import type { ModelFolder } from "../../models/node/model-folder.js";
import { createEmbedder, type Embedder } from "../../routing/embedder.js";
import type { Routing } from "../../routing/router.js";
import { formatText, type RoutingText, type TextFormat } from "../../routing/text-format.js";
import type { DeviceOptions } from "../../runtime/device.js";
import { openDevice } from "../../runtime/node/open-device.js";
import { floatBytes } from "../../tensors/tensor.js";
import type { Tokenizer } from "../../tokenizers/tokenizer.js";
import { type AnsweringExpert, answerGroupOf } from "../answer-group.js";
import type { LaneOptions } from "../held-model.js";
import { type Batcher, createBatcher } from "./batcher.js";
import { type KeyMaker, openKeyMaker } from "./expert-key-maker.js";
import { createGenerateLane, type GenerateLane } from "./generate-lane.js";
import { createLanes } from "./lanes.js";
import { type LibraryRouter, openLibraryRouter } from "./library-router.js";
import type { LibraryView } from "./library-view.js";
import { createScoreLane, type ScoreRequest } from "./score-lane.js";

/** Most texts that are routed together. */
const MOST_TEXTS = 64;
/** Nearest keys of a text that a routing tells of; the nearest one decides. */
export const TOLD_KEYS = 10;

/** What an engine works with; it stays open. */
export interface EngineOptions {
  readonly device: DeviceOptions;
  readonly library: Library;
  readonly base: ModelFolder;
  readonly tokenizer: Tokenizer;
  /** Most input tokens, end token included. */
  readonly inputLength: number;
}

/** What embeds texts as the keys of a library are. */
export interface TextEmbedder {
  readonly embedder: Embedder;
  readonly format: TextFormat;
  /** Of a text in that format: tokens that the embedder does not read. */
  tokensCut(written: string): number;
}

/** What routing makes of a text. */
export interface RoutedText {
  readonly routing: Routing;
  /** Tokens of the text, as it is written for routing, that were not looked at. */
  readonly tokensCut: number;
}

/** Device, programs and what lies on the device. All are lost together when the worker dies. */
export interface Engine {
  /** Asks the worker. */
  isAlive(): Promise<boolean>;
  /** As `ScoreLane.score`. */
  score(request: ScoreRequest, signal: AbortSignal): Promise<Float64Array>;
  /** Lets the lane of these experts make text. */
  generate<Result>(experts: readonly AnsweringExpert[], work: (lane: GenerateLane) => Promise<Result>): Promise<Result>;
  /** Routes a text among the experts of a view, which has some; the nearest key decides, {@link TOLD_KEYS} are told of. */
  route(text: RoutingText, view: LibraryView, signal: AbortSignal): Promise<RoutedText>;
  /** Lets something embed texts as those that are routed in a view. */
  embed<Result>(view: LibraryView, work: (embedder: TextEmbedder) => Promise<Result>): Promise<Result>;
  /** Frees the router of a view when the last call that uses it is over. */
  retire(view: LibraryView): Promise<void>;
  close(): Promise<void>;
}

/** A view's router on the device. */
interface OpenedRouter {
  readonly router: LibraryRouter;
  readonly batcher: Batcher<RoutingText, Routing>;
}

/** Starts a device; routers and programs are made when they are needed. @throws CadreError as `openDevice`. */
export async function openEngine({
  device: where,
  library,
  base,
  tokenizer,
  inputLength,
}: EngineOptions): Promise<Engine> {
  const device = await openDevice(where);
  const probe = await device.createState(new Map());
  const lane: LaneOptions = { device, model: base.model, weights: base.weights, inputLength };
  const modelBytes = floatBytes(base.model.parameters);
  const scoring = createLanes({ open: (group) => createScoreLane(group, lane), modelBytes });
  const generating = createLanes({ open: (group) => createGenerateLane(group, lane), modelBytes });
  const routers = new Map<LibraryView, { readonly opened: Promise<OpenedRouter>; users: number }>();
  const retired = new WeakSet<LibraryView>();
  let keyMaker: Promise<KeyMaker> | undefined;

  const openKeys = (): Promise<KeyMaker> => {
    keyMaker ??= openKeyMaker({ device, base, baseHash: library.base.hash, tokenizer, library }).catch(
      (error: unknown) => {
        keyMaker = undefined;
        throw error;
      },
    );
    return keyMaker;
  };
  const openRouter = async ({ catalog }: LibraryView): Promise<OpenedRouter> => {
    const router = await openLibraryRouter({
      ...{ device, library, keyMaker: await openKeys(), experts: catalog.entries },
      neighbours: TOLD_KEYS,
    });
    const batcher = createBatcher<RoutingText, Routing>({
      most: MOST_TEXTS,
      answer: (texts, signal) => router.routeEach(texts, { signal }),
    });
    return { router, batcher };
  };
  const closeIfDone = async (view: LibraryView): Promise<void> => {
    const found = routers.get(view);
    if (found === undefined || found.users > 0 || !retired.has(view)) return;
    routers.delete(view);
    await (await found.opened).router.close();
  };
  const withRouter = async <Result>(
    view: LibraryView,
    work: (opened: OpenedRouter) => Promise<Result>,
  ): Promise<Result> => {
    const one = routers.get(view) ?? { opened: openRouter(view), users: 0 };
    routers.set(view, one);
    one.users++;
    try {
      return await work(await one.opened);
    } catch (error) {
      await one.opened.catch(() => routers.delete(view));
      throw error;
    } finally {
      one.users--;
      await closeIfDone(view);
    }
  };

  return {
    async isAlive() {
      return probe.read().then(
        () => true,
        () => false,
      );
    },
    score: (request, signal) => scoring.use(answerGroupOf(request.experts), (one) => one.score(request, signal)),
    generate: (experts, work) => generating.use(answerGroupOf(experts), work),
    async route(text, view, signal) {
      const routing = await withRouter(view, ({ batcher }) => batcher.add(text, { signal }));
      const { record, encoder } = await openKeys();
      return { routing, tokensCut: encoder.tokensCut(formatText(text, record.format)) };
    },
    async embed(view, work) {
      const { record, encoder } = await openKeys();
      const shared = { format: record.format, tokensCut: encoder.tokensCut };
      return view.canRoute
        ? withRouter(view, ({ router }) => work({ ...shared, embedder: router.embedder }))
        : work({ ...shared, embedder: createEmbedder(encoder) });
    },
    async retire(view) {
      retired.add(view);
      await closeIfDone(view);
    },
    close: () => device.close(),
  };
}
