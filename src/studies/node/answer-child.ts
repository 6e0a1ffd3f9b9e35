import { readFile } from "node:fs/promises";
import { at } from "../../core/at.js";
import { groupBy } from "../../core/group-by.js";
import { writeFileAtomic } from "../../core/node/atomic-write.js";
import { createChoiceScorer } from "../../evaluation/score-choices.js";
import { openLibrary } from "../../library/node/library.js";
import { encodeExample } from "../../mixtures/encode-example.js";
import { truncateExample } from "../../mixtures/encoded-example.js";
import { openModelFolder } from "../../models/node/model-folder.js";
import { createEmbedder } from "../../routing/embedder.js";
import { parseKeyEncoder } from "../../routing/key-encoder.js";
import { createPooledEncoder } from "../../routing/pooled-encoder.js";
import { createRetrievalRouter } from "../../routing/retrieval-router.js";
import { openDevice } from "../../runtime/node/open-device.js";
import { openTokenizer } from "../../tokenizers/node/open-tokenizer.js";
import { probeAnswersSchema, probeQuestionSchema } from "../elm-probe.js";

/**
 * A process that routes rows among the experts of a library and lets the picked ones answer, one row at a time so that batches have one shape. Its argument is
 * a file with a question, which names the file for the answers.
 */
async function answer(path: string): Promise<void> {
  const question = probeQuestionSchema.parse(JSON.parse(await readFile(path, "utf8")));
  const { rows, inputLength } = question;
  const library = await openLibrary(question.library);
  await using device = await openDevice({ threads: question.threads });
  await using base = await openModelFolder(question.base);
  const tokenizer = await openTokenizer(question.base);
  const modelHash = library.base.hash;
  await using encoder = await createPooledEncoder({
    device,
    encoder: base.model,
    weights: base.weights,
    tokenizer,
    modelHash,
  });
  const experts: { readonly id: string; readonly keys: Float32Array }[] = [];
  for (const { id } of await library.list()) {
    const keys = await library.readKeys(id);
    if (keys !== undefined) experts.push({ id, keys: keys.vectors.data });
  }
  const keyEncoder = parseKeyEncoder(await library.keyEncoder());
  const embedder = createEmbedder(encoder);
  await using router = await createRetrievalRouter({ device, embedder, experts, keyEncoder });
  const routings = await router.routeEach(rows.map(({ input, choices }) => ({ input, choices })));
  const routed = rows.map(({ key, input, choices }, index) => {
    const limits = { inputLength, targetLength: Number.MAX_SAFE_INTEGER };
    const example = encodeExample({ input, choices, targets: [at(choices, 0)] }, tokenizer);
    return { key, expert: at(at(routings, index).experts, 0).id, example: truncateExample(example, limits).example };
  });
  const answers: { key: string; expert: string; scores: number[] }[] = [];
  for (const [expert, own] of groupBy(routed, (one) => one.expert)) {
    const { tensors } = await library.read(expert);
    await using scorer = createChoiceScorer({ device, model: base.model, weights: tensors, inputLength });
    for (const { key, example } of own) {
      const { scores } = await scorer.score([example]);
      answers.push({ key, expert, scores: [...at(scores, 0)] });
    }
  }
  await writeFileAtomic(question.answers, JSON.stringify(probeAnswersSchema.parse(answers)));
}

await answer(process.argv[2] ?? "");
