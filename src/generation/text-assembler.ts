import { CadreError } from "../core/errors.js";
import { shownValue } from "./shown-value.js";
import { findStop, stopBeginsAt } from "./stop-texts.js";

/** Options of `createTextAssembler`. */
export interface TextAssemblerOptions {
  /** The text of ids, special tokens left out: `tokenizer.decode`. */
  readonly decode: (ids: readonly number[]) => string;
  /** The text ends before the first of these; default none. At most 16, none empty. */
  readonly stop?: readonly string[];
}

/** What became of some tokens. */
export interface AssembledPart {
  /** Text that is certain now; may be empty. */
  readonly text: string;
  /** Tokens that were taken: all, or those up to the one with which a stop text was complete. */
  readonly taken: number;
  /** A stop text was found: the text ends here, and no more tokens are taken. */
  readonly stopped: boolean;
}

/**
 * Makes text of tokens as they come. All parts together are the text of all tokens, up to a stop text; however the tokens are divided, the
 * whole and the token at which it stops are the same.
 */
export interface TextAssembler {
  /**
   * Takes tokens. What could still change or vanish is held back: an unfinished character (bytes of it are missing, or accents and joined
   * parts could follow the last one), and the beginning of a stop text.
   */
  push(ids: ArrayLike<number>): AssembledPart;
  /** No more tokens come: gives what was held back. To be called once, whether the text was stopped (then it gives nothing) or not. */
  finish(): string;
}

/** Most stop texts. */
const MOST_STOPS = 16;
/** Tokens that are decoded again with every new one: usually at most so many, so that long answers take no longer by the token. */
const WINDOW = 64;
/**
 * Tokens before a piece that are decoded with it: what lies before it decides whether its leading space counts, and which bytes are a character.
 * Of a full window so many stay.
 */
export const CONTEXT_TOKENS = 16;
/** Bytes of an unfinished UTF-8 character: one U+FFFD each with some tokenizers, one together with others. */
const UNFINISHED = /\uFFFD{1,3}$/;

/** @throws CadreError `invalid-argument` for bad stop texts. */
export function createTextAssembler({ decode, stop = [] }: TextAssemblerOptions): TextAssembler {
  checkStops(stop);
  const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
  let window: number[] = [];
  /** Of the window, as far as it is part of `text`. */
  let windowText = "";
  let text = "";
  let sent = 0;
  let stopped = false;

  /** Text that the tokens of the window have beyond what is known, unfinished characters included. */
  const beyond = (): string => {
    const whole = decode(window);
    // Unfinished characters can change what stands before them; the next tokens settle it.
    return whole.startsWith(windowText) ? whole.slice(windowText.length) : "";
  };
  const take = (id: number): void => {
    window.push(id);
    const certain = beyond().replace(UNFINISHED, "");
    const from = text.length;
    text += certain;
    windowText += certain;
    const found = findStop(text, { stop, from });
    if (found !== undefined) {
      text = text.slice(0, found);
      stopped = true;
    } else if (window.length >= WINDOW) {
      const context = window.slice(-CONTEXT_TOKENS);
      const contextText = decode(context);
      // The cut must not fall into a character.
      if (contextText !== "" && windowText.endsWith(contextText)) {
        window = context;
        windowText = contextText;
      }
    }
  };
  const send = (end: number): string => {
    const piece = text.slice(sent, end);
    sent += piece.length;
    return piece;
  };
  return {
    push(ids) {
      let taken = 0;
      while (taken < ids.length && !stopped) {
        take(ids[taken] ?? 0);
        taken++;
      }
      if (stopped) {
        return { text: send(text.length), taken, stopped };
      }
      const open = text.slice(sent);
      const certain = stopBeginsAt(open, stop);
      const boundaries = [...graphemes.segment(open)].map(({ index }) => index);
      return { text: send(sent + (boundaries.findLast((index) => index <= certain) ?? 0)), taken, stopped };
    },
    finish() {
      if (!stopped) {
        text += beyond();
      }
      return send(text.length);
    },
  };
}

function checkStops(stop: readonly string[]): void {
  // JavaScript callers may pass anything.
  if (!Array.isArray(stop)) {
    throw new CadreError("invalid-argument", `stop: expected a list of texts, got ${shownValue(stop)}`);
  }
  const other = stop.findIndex((one) => typeof one !== "string");
  if (other >= 0) {
    throw new CadreError(
      "invalid-argument",
      `stop: expected a list of texts, got ${shownValue(stop[other])} in place ${other + 1}`,
    );
  }
  if (stop.length > MOST_STOPS) {
    throw new CadreError("invalid-argument", `stop: expected at most ${MOST_STOPS} texts, got ${stop.length}`);
  }
  if (stop.includes("")) {
    throw new CadreError("invalid-argument", `stop: expected texts of one character or more, got an empty one`);
  }
}
