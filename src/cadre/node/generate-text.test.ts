import { getEventListeners } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { at } from "../../core/at.js";
import { createDelta, type DeltaConfig } from "../../experts/delta-config.js";
import { parseStoredDelta } from "../../experts/stored-delta.js";
import { createTokenGenerator } from "../../generation/token-generator.js";
import type { Library } from "../../library/node/library.js";
import { openModelFolder } from "../../models/node/model-folder.js";
import { openDevice } from "../../runtime/node/open-device.js";
import { openTokenizer } from "../../tokenizers/node/open-tokenizer.js";
import type { Cadre, GenerateTextOptions, TextPart } from "../cadre.js";
import type { LoadedExpert } from "../expert-stack.js";
import { openCadre } from "./open-cadre.js";
import { addTinyExperts, type TinyExpert } from "./tiny-library.test.helpers.js";

const lora: DeltaConfig = { kind: "lora", config: { rank: 4, alpha: 4, targets: ["q", "v", "wo"] } };
const experts: readonly TinyExpert[] = [
  { name: "one", delta: lora },
  { name: "two", delta: lora, keys: ["some text"] },
  { name: "narrow", delta: { kind: "bottleneck", config: { width: 4 } } },
  { name: "whole", delta: "full" },
];
const text = "Say something";

let folder = "";
let library: Library;
let cadre: Cadre;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cadre-text-"));
  ({ library } = await addTinyExperts(folder, experts));
  cadre = await openCadre(library.path, { threads: 1 });
}, 120_000);
afterAll(async () => {
  await cadre.close();
  await rm(folder, { recursive: true, force: true });
});

/** What the library holds of an expert. */
async function readExpert(id: string): Promise<{ readonly id: string } & Pick<LoadedExpert, "delta" | "tensors">> {
  const { manifest, tensors } = await library.read(id);
  return { id, delta: parseStoredDelta(manifest.delta, id), tensors };
}

async function partsOf(input: string, options: GenerateTextOptions = {}): Promise<TextPart[]> {
  const parts: TextPart[] = [];
  for await (const part of cadre.stream(input, options)) parts.push(part);
  return parts;
}
const joined = (parts: readonly TextPart[], sample = 0): string =>
  parts
    .filter((part) => part.sample === sample)
    .map((part) => part.text)
    .join("");

test.each(["one", "narrow", "whole", "base"])("%s writes what the token generator alone makes of it", async (name) => {
  await using device = await openDevice({ threads: 1 });
  await using base = await openModelFolder(library.base.id);
  const tokenizer = await openTokenizer(library.base.id);
  const stored = name === "base" ? undefined : await readExpert(name);
  const isWhole = stored !== undefined && stored.delta === undefined;
  await using generator = createTokenGenerator({
    ...{ device, model: base.model, weights: isWhole ? stored.tensors : base.weights },
    ...(stored?.delta === undefined ? {} : { delta: createDelta(stored.delta, base.model.hookPoints) }),
  });
  const [expected] = await generator.generate([{ input: tokenizer.encode(text) }], {
    maxNewTokens: 12,
    ...(stored?.delta === undefined ? {} : { deltaTensors: stored.tensors }),
  });
  const answer = await cadre.generate(text, { experts: name, maxTokens: 12 });
  expect(answer.text).toBe(tokenizer.decode(expected?.ids ?? []));
  expect(answer).toMatchObject({ inputTokens: text.length + 1, inputTokensCut: 0 });
  const [output] = answer.outputs;
  expect(output).toMatchObject({ text: answer.text, finish: expected?.finish, tokenCount: expected?.ids.length });
  expect(output?.tokens).toBeUndefined();
  const sum = [...(expected?.logProbabilities ?? [])].reduce((total, value) => total + value, 0);
  expect(Math.abs((output?.logProbability ?? 0) - sum)).toBeLessThan(1e-4 * Math.abs(sum));
});

test("calls that overlap write what they write alone", async () => {
  const calls = ["one", "two", "base", "whole", "narrow", "auto", "one", "two"].map((name, index) => ({
    input: `${text} ${index}`,
    options: {
      experts: name,
      maxTokens: 4 + 5 * (index % 3),
      ...(index % 2 === 0 ? {} : { temperature: 0.8, topK: 20, seed: index, samples: 2 }),
    },
  }));
  const together = await Promise.all(calls.map(({ input, options }) => cadre.generate(input, options)));
  for (const [index, { input, options }] of calls.entries()) {
    const alone = await cadre.generate(input, options);
    expect(at(together, index).outputs.map((output) => output.text)).toEqual(
      alone.outputs.map((output) => output.text),
    );
    expect(at(together, index).routing).toEqual(alone.routing);
  }
  expect(at(together, 5).routing.experts.map(({ name }) => name)).toEqual(["two"]);
}, 120_000);

test("the parts of a stream are the text of generate, with its counts", async () => {
  const options = { experts: "one", maxTokens: 20, temperature: 1, seed: 5, samples: 3, logProbabilities: 2 };
  const whole = await cadre.generate(text, options);
  const parts = await partsOf(text, options);
  expect(whole.text).toBe(whole.outputs[0]?.text);
  for (const [sample, output] of whole.outputs.entries()) {
    const own = parts.filter((part) => part.sample === sample);
    expect(joined(parts, sample)).toBe(output.text);
    expect(own.map(({ finish }) => finish)).toEqual([...own.slice(1).map(() => undefined), output.finish]);
    expect(own.at(-1)?.tokenCount).toBe(output.tokenCount);
    expect(own.flatMap(({ tokens = [] }) => tokens)).toEqual(output.tokens);
    expect(output.tokens).toHaveLength(output.tokenCount);
    for (const token of output.tokens ?? []) expect(token.top).toHaveLength(2);
    const sum = (output.tokens ?? []).reduce((total, { logProbability }) => total + logProbability, 0);
    expect(sum).toBeCloseTo(output.logProbability, 5);
  }
  expect(parts[0]?.answered).toEqual({ routing: whole.routing, inputTokens: 14, inputTokensCut: 0 });
  expect(new Set(whole.outputs.map((output) => output.text)).size).toBe(3);
  const listedOnly = await cadre.generate(text, { ...options, samples: 1, logProbabilities: 0 });
  expect(listedOnly.outputs[0]?.tokens?.every(({ top }) => top.length === 0)).toBe(true);
});

test("equal seeds draw equal texts, and a request without one draws others", async () => {
  const options = { experts: "two", temperature: 1, maxTokens: 24 };
  const [one, same, other] = await Promise.all([
    cadre.generate(text, { ...options, seed: 1 }),
    cadre.generate(text, { ...options, seed: 1 }),
    cadre.generate(text, { ...options, seed: 2 }),
  ]);
  expect(same.text).toBe(one.text);
  expect(other.text).not.toBe(one.text);
  const unseeded = await Promise.all([cadre.generate(text, options), cadre.generate(text, options)]);
  expect(unseeded[0].text).not.toBe(unseeded[1].text);
});

test("a stop text ends the answer before it and is left out", async () => {
  const options = { experts: "one", maxTokens: 40, temperature: 1, seed: 3 };
  const whole = await cadre.generate(text, options);
  const from = Math.floor(whole.text.length / 2);
  const stop = whole.text.slice(from, from + 2);
  const stopped = await cadre.generate(text, { ...options, stop: [stop] });
  expect(stopped.text).toBe(whole.text.slice(0, whole.text.indexOf(stop)));
  expect(stopped.outputs[0]?.finish).toBe("stop");
  expect(stopped.outputs[0]?.tokenCount).toBeLessThan(whole.outputs[0]?.tokenCount ?? 0);
  const parts = await partsOf(text, { ...options, stop: [stop] });
  expect(joined(parts)).toBe(stopped.text);
  expect(parts.at(-1)?.finish).toBe("stop");
});

test("beams find answers that are no less likely than the greedy one", async () => {
  const options = { experts: "one", maxTokens: 6 };
  const greedy = await cadre.generate(text, options);
  const found = await cadre.generate(text, { ...options, beams: 4, samples: 2 });
  expect(found.outputs).toHaveLength(2);
  const perToken = ({ outputs }: typeof found): number =>
    (outputs[0]?.logProbability ?? 0) / (outputs[0]?.tokenCount ?? 1);
  expect(perToken(found)).toBeGreaterThanOrEqual(perToken(greedy) - 1e-5);
  await expect(cadre.generate(text, { beams: 4, temperature: 1 })).rejects.toMatchObject({ code: "unsupported" });
  await expect(cadre.generate(text, { beams: 2, samples: 3 })).rejects.toMatchObject({ code: "unsupported" });
  await expect(cadre.generate(text, { beams: 2, logProbabilities: 1 })).rejects.toMatchObject({ code: "unsupported" });
  await expect(partsOf(text, { beams: 2 })).rejects.toMatchObject({ code: "unsupported" });
});

test("bad options are refused before others share a batch with them", async () => {
  const good = cadre.generate(text, { experts: "one", maxTokens: 4 });
  const cases: readonly [GenerateTextOptions, string][] = [
    [{ maxTokens: 0 }, "maxTokens: expected an integer from 1 to 4096, got 0"],
    [{ maxTokens: 5000 }, "maxTokens: expected an integer from 1 to 4096, got 5000"],
    [{ samples: 0 }, "samples: expected an integer from 1 to 128"],
    [{ temperature: -1 }, "temperature"],
    [{ topP: 0 }, "topP"],
    [{ logProbabilities: 21 }, "logProbabilities: expected an integer from 0 to 20"],
    [{ beams: 0 }, "beams"],
    [{ seed: -1 }, "seed"],
    [{ stop: [""] }, "stop: expected texts of one character or more"],
  ];
  for (const [options, message] of cases) {
    const refused = { code: "invalid-argument", message: expect.stringContaining(message) };
    await expect(cadre.generate(text, options)).rejects.toMatchObject(refused);
    await expect(partsOf(text, options)).rejects.toMatchObject(refused);
  }
  expect((await good).outputs).toHaveLength(1);
});

test("a reader who leaves, or a signal, ends a stream; others that share its batch go on", async () => {
  const options = { experts: "one", maxTokens: 200, temperature: 1, seed: 1 };
  const whole = cadre.generate(text, options);
  let read = 0;
  for await (const part of cadre.stream(text, options)) {
    read += part.tokenCount;
    break;
  }
  expect(read).toBeLessThan(200);
  const stop = new AbortController();
  const aborted = async (): Promise<void> => {
    for await (const _ of cadre.stream(text, { ...options, signal: stop.signal })) stop.abort(new Error("enough"));
  };
  await expect(aborted()).rejects.toMatchObject({ code: "aborted", cause: { message: "enough" } });
  expect((await whole).outputs[0]?.tokenCount).toBeGreaterThan(8);
  expect((await cadre.generate(text, options)).text).toBe((await whole).text);
}, 120_000);

test("many calls on one signal, and many samples, make Node warn of nothing", async () => {
  const warnings: Error[] = [];
  const note = (warning: Error): void => {
    warnings.push(warning);
  };
  process.on("warning", note);
  const { signal } = new AbortController();
  const options = { experts: "one", maxTokens: 12, temperature: 1, seed: 1, signal };
  await Promise.all([
    cadre.generate(text, { ...options, samples: 24 }),
    ...Array.from({ length: 12 }, () => cadre.generate(text, options)),
    ...Array.from({ length: 12 }, () => partsOf(text, options)),
    ...Array.from({ length: 12 }, () => cadre.classify(text, { ...options, choices: ["a", "b"] })),
    ...Array.from({ length: 12 }, () => cadre.route(text, options)),
  ]);
  // Warnings come in a later turn.
  await new Promise((resolve) => setTimeout(resolve, 10));
  process.off("warning", note);
  expect(warnings).toEqual([]);
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

test("closing ends a stream", async () => {
  const opened = await openCadre(library.path, { threads: 1 });
  const reading = async (): Promise<void> => {
    for await (const _ of opened.stream(text, { experts: "one", maxTokens: 400, temperature: 1, seed: 1 })) {
      void opened.close();
    }
  };
  await expect(reading()).rejects.toMatchObject({ code: "closed" });
  const later = opened.stream(text);
  await expect(later.next()).rejects.toMatchObject({ code: "closed" });
});
