import { CadreError } from "../core/errors.js";
import { nearMiss } from "../core/near-miss.js";
import type { DeviceOptions } from "../runtime/device.js";
import { checkDeviceKind } from "../runtime/node/open-device.js";

/** Reads a number given on the command line. @throws CadreError `invalid-argument` naming the option and what it takes. */
export function numberOption(
  name: string,
  text: string,
  range: { readonly minimum: number; readonly maximum: number; readonly integer?: boolean },
): number {
  const number = Number(text);
  const { minimum, maximum, integer = false } = range;
  if (text.trim() === "" || !(number >= minimum && number <= maximum) || (integer && !Number.isInteger(number))) {
    const kind = integer ? "a whole number" : "a number";
    throw new CadreError(
      "invalid-argument",
      `--${name}: expected ${kind} from ${minimum} to ${maximum}, got "${text}"`,
    );
  }
  return number;
}

/** Reads an option that takes one of a few words. @throws CadreError `invalid-argument`, with the word that was probably meant. */
export function choiceOption<Word extends string>(name: string, text: string, words: readonly Word[]): Word {
  const found = words.find((word) => word === text);
  if (found === undefined) {
    const meant = nearMiss(text, words);
    throw new CadreError(
      "invalid-argument",
      `--${name}: expected ${words.join(" or ")}, got "${text}"${meant === undefined ? "" : `; did you mean ${meant}?`}`,
    );
  }
  return found;
}

/** Reads `--threads`, for `openDevice`; without it the device decides. @throws CadreError `invalid-argument`. */
export function threadsOption(text: string | undefined): { readonly threads?: number } {
  return text === undefined
    ? {}
    : { threads: numberOption("threads", text, { minimum: 1, maximum: 1024, integer: true }) };
}

/** Reads `--device` and `--threads`, for `openDevice`. @throws CadreError `invalid-argument`, with the kind that was probably meant. */
export function deviceOptions(options: { readonly device?: string; readonly threads?: string }): DeviceOptions {
  const { device: kind, threads } = options;
  if (kind === undefined) {
    return threadsOption(threads);
  }
  checkDeviceKind(kind, "--device");
  return { kind, ...threadsOption(threads) };
}

/** `--offline`, for `resolveBase`; without it the environment decides. */
export function offlineOption({ offline }: { readonly offline?: boolean }): { readonly offline?: boolean } {
  return offline === undefined ? {} : { offline };
}
