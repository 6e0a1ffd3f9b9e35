import { join } from "node:path";
import { createRandom, hashText } from "../../core/random.js";
import { createDelta, type DeltaConfig } from "../../experts/delta-config.js";
import { peftConfig } from "../../experts/peft.js";
import { storedDelta } from "../../experts/stored-delta.js";
import { hashBase } from "../../library/base-hash.js";
import { type ExpertEntry, type Library, openOrCreateLibrary } from "../../library/node/library.js";
import { openModelFolder } from "../../models/node/model-folder.js";
import type { ParameterSpec } from "../../models/parameter.js";
import { openDevice } from "../../runtime/node/open-device.js";
import { elementCount, type Tensor } from "../../tensors/tensor.js";
import { openTokenizer } from "../../tokenizers/node/open-tokenizer.js";
import { openKeyMaker } from "./expert-key-maker.js";
import { writeTinyBase } from "./train-expert.test.helpers.js";

/** An expert that was never trained: its numbers are drawn by its name. */
export interface TinyExpert {
  readonly name: string;
  /** `full`: all weights are its own. */
  readonly delta: DeltaConfig | "full";
  readonly choices?: readonly string[];
  readonly role?: "multitask";
  /** Inputs that it is found by; default: it has no keys. */
  readonly keys?: readonly string[];
  /** Draws other numbers. */
  readonly variant?: number;
}

/** Adds experts to the library of a folder, which is made with a base beside it where there is none. */
export async function addTinyExperts(
  folder: string,
  experts: readonly TinyExpert[],
  { keyTexts = "none" }: { readonly keyTexts?: "none" | "stored" } = {},
): Promise<{ readonly library: Library; readonly entries: readonly ExpertEntry[] }> {
  const baseFolder = join(folder, "base");
  await openModelFolder(baseFolder).then(
    (found) => found[Symbol.asyncDispose](),
    () => writeTinyBase(baseFolder),
  );
  await using base = await openModelFolder(baseFolder);
  const hash = await hashBase(base);
  const library = await openOrCreateLibrary(join(folder, "library"), { base: { id: baseFolder, hash } });
  await using device = await openDevice({ threads: 1 });
  const tokenizer = await openTokenizer(baseFolder);
  await using keyMaker = await openKeyMaker({ device, base, baseHash: hash, tokenizer, library });
  const entries: ExpertEntry[] = [];
  for (const { name, delta, choices, role, keys, variant = 0 } of experts) {
    const config = delta === "full" ? undefined : delta;
    const tensors = new Map<string, Tensor>();
    const parameters =
      config === undefined ? base.model.parameters : createDelta(config, base.model.hookPoints).parameters;
    for (const parameter of parameters) {
      const start = base.weights.tensors.has(parameter.name) ? await base.weights.read(parameter.name) : undefined;
      tensors.set(parameter.name, shifted(parameter, start, hashText(`${name} ${variant}`)));
    }
    entries.push(
      await library.add({
        manifest: {
          ...{ name, task: name, origin: { kind: "trained" }, delta: storedDelta(config) },
          ...(role === undefined ? {} : { role }),
          ...(choices === undefined ? {} : { choices: [...choices] }),
        },
        tensors,
        adapterConfig: config === undefined ? undefined : peftConfig(config, library.base.id),
        ...(keys === undefined
          ? {}
          : {
              keys: await keyMaker.makeKeys(
                keys.map((input) => ({ input, targets: ["-"], ...(choices === undefined ? {} : { choices }) })),
                { texts: keyTexts },
              ),
            }),
      }),
    );
  }
  return { library, entries };
}

/** The base's value, or 1 for (IA)³'s vectors, or 0, and something drawn beside it. */
function shifted({ name, shape }: ParameterSpec, start: Tensor | undefined, seed: number): Tensor<"float32"> {
  const random = createRandom(seed, hashText(name));
  const data = Float32Array.from({ length: elementCount(shape) }, (_, index) => {
    const before = start === undefined ? (name.includes("ia3") ? 1 : 0) : Number(start.data[index] ?? 0);
    return before + 0.3 * random.nextNormal();
  });
  return { dtype: "float32", shape, data };
}
