/**
 * Labels texts by the experts of a library. Calls that overlap share batches, so asking for all texts at once is the fast way.
 *
 *   node classify.ts LIBRARY TEXT...
 *   node classify.ts LIBRARY < lines.txt
 *
 * Node 24 runs it as it is; docs/ten-minutes.md says what older ones need.
 */
import { createInterface } from "node:readline";
import { CadreError, openCadre } from "cadre";

const [library = "library", ...given] = process.argv.slice(2);
const texts = given.length > 0 ? given : await linesOf(process.stdin);

await using cadre = await openCadre(library);
const answers = await Promise.allSettled(texts.map((text) => cadre.classify(text)));
for (const [index, answer] of answers.entries()) {
  if (answer.status === "fulfilled") {
    const { choice, scores, routing } = answer.value;
    const share = scores.find((score) => score.choice === choice)?.probability ?? 0;
    console.log([choice, `${(100 * share).toFixed(0)} %`, routing.experts[0]?.name ?? "base", texts[index]].join("\t"));
  } else if (CadreError.isInstance(answer.reason)) {
    // An empty line, say, or an expert without labels of its own.
    console.log(["?", answer.reason.message, "", texts[index]].join("\t"));
  } else {
    throw answer.reason;
  }
}

async function linesOf(input: NodeJS.ReadableStream): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of createInterface({ input })) lines.push(line);
  return lines;
}
