import type { Classification, ClassifyOptions } from "../cadre.js";
import { classificationOf } from "../classification.js";
import { encodeQuestion, expectChoices, expectOwnChoices } from "../question-choices.js";
import { answeredInput, chooseExperts, expectOptions, expectText, readExperts, type Session } from "./session.js";

/** `Cadre.classify`. */
export async function answerChoices(
  session: Session,
  input: string,
  options: ClassifyOptions,
): Promise<Classification> {
  expectText(input, "classify");
  expectOptions(options, "classify");
  const { choices: given, experts, signal } = options;
  if (given !== undefined) expectChoices(given);
  const { guard, keeper, tokenizer } = session;
  const view = session.view();
  return await guard.run(
    (ended) =>
      keeper.use(async (engine) => {
        const { routing, selected } = await chooseExperts(
          { input, choices: given, experts },
          { engine, view, signal: ended },
        );
        const choices = given ?? expectOwnChoices(selected);
        if (given === undefined) expectChoices(choices);
        const example = encodeQuestion({ input, choices }, tokenizer);
        const answering = await readExperts(selected, session);
        const scores = await engine.score({ example, experts: answering }, ended);
        return { ...classificationOf(choices, scores), ...answeredInput(routing, example, session) };
      }),
    signal,
  );
}
