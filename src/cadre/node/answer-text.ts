import { at } from "../../core/at.js";
import { CadreError } from "../../core/errors.js";
import { createAsyncQueue } from "../async-queue.js";
import type { AnsweredInput, GeneratedText, GenerateTextOptions, Generation, TextPart } from "../cadre.js";
import { createSampleText } from "../sample-text.js";
import { checkTextRequest, type TextRequest } from "../text-request.js";
import type { Engine } from "./engine.js";
import type { LibraryView } from "./library-view.js";
import { answeredInput, chooseExperts, expectOptions, expectText, readExperts, type Session } from "./session.js";

/** `Cadre.generate`. */
export async function answerText(session: Session, input: string, asking: GenerateTextOptions): Promise<Generation> {
  expectText(input, "generate");
  expectOptions(asking, "generate");
  const { experts, signal, ...options } = asking;
  const request = checkTextRequest(options, session.base.model.vocabularySize);
  const asked: AskedText = { input, experts, request, view: session.view() };
  return await session.guard.run(async (ended) => {
    const answered = await makeText(session, asked, { signal: ended });
    return { text: at(answered.outputs, 0).text, ...answered };
  }, signal);
}

/** `Cadre.stream`. */
export async function* streamText(
  session: Session,
  input: string,
  asking: GenerateTextOptions,
): AsyncGenerator<TextPart, void, undefined> {
  expectText(input, "stream");
  expectOptions(asking, "stream");
  const { experts, signal, ...options } = asking;
  const request = checkTextRequest(options, session.base.model.vocabularySize);
  if (request.beams > 1) {
    throw new CadreError(
      "unsupported",
      `stream: expected beams 1, got ${request.beams}; a beam search knows its answer only at its end: use generate`,
    );
  }
  const asked: AskedText = { input, experts, request, view: session.view() };
  const left = new AbortController();
  const parts = createAsyncQueue<TextPart>();
  const working = session.guard
    .run(
      (ended) => makeText(session, asked, { signal: ended, onPart: (part) => parts.push(part) }),
      signal === undefined ? left.signal : AbortSignal.any([left.signal, signal]),
    )
    .then(
      () => parts.end(),
      (error: unknown) => parts.fail(error),
    );
  try {
    yield* parts;
  } finally {
    left.abort();
    await working;
  }
}

/** A question whose options were checked. */
interface AskedText {
  readonly input: string;
  readonly experts: GenerateTextOptions["experts"] | undefined;
  readonly request: TextRequest;
  readonly view: LibraryView;
}

interface MadeText extends AnsweredInput {
  readonly outputs: readonly GeneratedText[];
}

async function makeText(
  session: Session,
  { input, experts, request, view }: AskedText,
  { signal, onPart }: { readonly signal: AbortSignal; readonly onPart?: (part: TextPart) => void },
): Promise<MadeText> {
  return await session.keeper.use(async (engine) => {
    const { routing, selected } = await chooseExperts({ input, experts }, { engine, view, signal });
    const answering = await readExperts(selected, session);
    const encoded = { input: session.tokenizer.encode(input) };
    const answered = answeredInput(routing, encoded, session);
    const texts = request.rows.map(() => createSampleText(request, session.tokenizer));
    await (request.beams > 1 ? searchText : drawText)(engine, {
      ...{ request, answering, signal },
      input: encoded.input,
      take: (sample, part) => {
        const made = at(texts, sample).push(part);
        onPart?.({ ...made, sample, answered });
        return made.finish === undefined;
      },
    });
    return { ...answered, outputs: texts.map((text) => text.result()) };
  });
}

interface TextWork {
  readonly request: TextRequest;
  readonly input: Int32Array;
  readonly answering: Awaited<ReturnType<typeof readExperts>>;
  readonly signal: AbortSignal;
  /** Takes tokens of a sample. @returns whether it goes on */
  readonly take: (sample: number, part: Parameters<ReturnType<typeof createSampleText>["push"]>[0]) => boolean;
}

async function drawText(engine: Engine, { request, input, answering, signal, take }: TextWork): Promise<void> {
  await engine.generate(answering, (lane) =>
    lane.stream({
      rows: request.rows.map((options) => ({ input, options })),
      experts: answering,
      onPart: (part) => take(part.row, part),
      signal,
    }),
  );
}

async function searchText(engine: Engine, { request, input, answering, signal, take }: TextWork): Promise<void> {
  const { maxNewTokens, repetitionPenalty } = at(request.rows, 0);
  const row = { input, beams: request.beams, maxNewTokens, repetitionPenalty };
  const { answers } = await engine.generate(answering, (lane) => lane.searchBeams({ row, experts: answering, signal }));
  for (const sample of request.rows.keys()) take(sample, at(answers, sample));
}
