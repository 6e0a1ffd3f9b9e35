import { CadreError } from "../../core/errors.js";
import { shownValue } from "../../generation/shown-value.js";
import type { EncodedExample } from "../../mixtures/encoded-example.js";
import type { ModelFolder } from "../../models/node/model-folder.js";
import { routingTextOf } from "../../routing/text-format.js";
import type { Tokenizer } from "../../tokenizers/tokenizer.js";
import type { AnsweringExpert } from "../answer-group.js";
import type { AnsweredInput, AnswerRouting, ExpertSelection } from "../cadre.js";
import type { SelectedExpert } from "../expert-catalog.js";
import type { CallGuard } from "./call-guard.js";
import type { Engine } from "./engine.js";
import type { EngineKeeper } from "./engine-keeper.js";
import type { ExpertReader } from "./expert-reader.js";
import type { LibraryView } from "./library-view.js";

/** What the calls of an open cadre share. */
export interface Session {
  readonly base: ModelFolder;
  readonly tokenizer: Tokenizer;
  /** Most input tokens, end token included. */
  readonly inputLength: number;
  readonly guard: CallGuard;
  readonly keeper: EngineKeeper;
  readonly reader: ExpertReader;
  /** The library as calls that begin now see it. */
  readonly view: () => LibraryView;
}

/** Who answers a question. */
export interface ChosenExperts {
  readonly routing: AnswerRouting;
  readonly selected: readonly SelectedExpert[];
}

/** A question without its options. */
export interface Question {
  readonly input: string;
  /** What routing may look at beside the input. */
  readonly choices?: readonly string[] | undefined;
  /** Default `auto`. */
  readonly experts?: ExpertSelection | undefined;
}

/** @throws CadreError `invalid-argument` for a text without a character that is not white space. */
export function expectText(text: string, what: string): void {
  // JavaScript callers may pass anything.
  if (typeof text !== "string" || text.trim() === "") {
    throw new CadreError(
      "invalid-argument",
      `${what}: expected a text, got ${typeof text === "string" ? "an empty one" : shownValue(text)}`,
    );
  }
}

/** @throws CadreError `invalid-argument` for options that are no object, and a signal that is none. */
export function expectOptions(options: { readonly signal?: AbortSignal }, what: string): void {
  // JavaScript callers may pass anything.
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new CadreError(
      "invalid-argument",
      `${what}: expected an object of options, or none, got ${shownValue(options)}`,
    );
  }
  const { signal } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new CadreError("invalid-argument", `${what}: signal: expected an AbortSignal, got ${shownValue(signal)}`);
  }
}

/**
 * Finds out who answers. Where a person has not said and the library has no keys, it is the base.
 * @throws CadreError as `ExpertCatalog.select` and `Engine.route`.
 */
export async function chooseExperts(
  { input, choices, experts = "auto" }: Question,
  { engine, view, signal }: { readonly engine: Engine; readonly view: LibraryView; readonly signal: AbortSignal },
): Promise<ChosenExperts> {
  const { catalog } = view;
  if (experts !== "auto" || !view.canRoute) {
    const selected = experts === "auto" ? [] : catalog.select(experts);
    return {
      selected,
      routing: {
        by: selected.length === 0 ? "base" : "request",
        experts: namedExperts(selected),
        ...{ ranking: [], trace: [] },
      },
    };
  }
  const text = routingTextOf({ input, ...(choices === undefined ? {} : { choices: [...choices] }) });
  const {
    routing: { ranking, trace },
    tokensCut,
  } = await engine.route(text, view, signal);
  // The nearest key decides, as in the comparison that training prints; the others tell how sure that is.
  const [found] = trace;
  const nearest = found?.nearest[0];
  const selected = nearest === undefined ? [] : [{ entry: catalog.find(nearest.expert), weight: 1 }];
  return {
    selected,
    routing: {
      ...{ by: "auto", experts: namedExperts(selected), ranking },
      // Its place among the texts that were routed together is nobody's business.
      trace: found === undefined ? [] : [{ ...found, query: 0 }],
      ...(tokensCut === 0 ? {} : { inputTokensCut: tokensCut }),
    },
  };
}

/** Reads the tensors of experts. @throws CadreError as `ExpertReader.read`. */
export async function readExperts(
  selected: readonly SelectedExpert[],
  { reader }: Pick<Session, "reader">,
): Promise<AnsweringExpert[]> {
  return await Promise.all(selected.map(async ({ entry, weight }) => ({ expert: await reader.read(entry), weight })));
}

/** What an answer says of its input. */
export function answeredInput(
  routing: AnswerRouting,
  { input }: Pick<EncodedExample, "input">,
  { inputLength }: Pick<Session, "inputLength">,
): AnsweredInput {
  return {
    routing,
    inputTokens: Math.min(input.length, inputLength),
    inputTokensCut: Math.max(0, input.length - inputLength),
  };
}

function namedExperts(selected: readonly SelectedExpert[]): AnswerRouting["experts"] {
  return selected.map(({ entry: { id, manifest }, weight }) => ({ id, weight, name: manifest.name }));
}
