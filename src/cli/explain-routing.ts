import type { AnswerRouting } from "../cadre/cadre.js";
import { quote } from "./describe-experts.js";

/** Other experts that are told of. */
const MOST_OTHERS = 3;
/** Of an expert's nearest keys, those whose texts are shown. */
const SHOWN_TEXTS = 2;
/** Longest part of a text that is shown. */
const SHOWN_CHARACTERS = 100;

/** What an explanation knows beside the routing. */
export interface ExplainOptions {
  /** By id. */
  readonly nameOf: (id: string) => string;
  /** The text of an expert's key; undefined where the library does not store it. */
  readonly textOf: (expert: string, key: number) => string | undefined;
}

/** Says who answered and why, for people who know nothing of keys and votes: lines. */
export function explainRouting(routing: AnswerRouting, { nameOf, textOf }: ExplainOptions): string[] {
  const { by, experts, ranking, trace } = routing;
  const [answering] = experts;
  if (answering === undefined || by === "base") {
    return [
      `The base answered by itself: ${by === "base" ? "it was asked for, or no expert can be found by its training inputs" : "no expert was found"}.`,
    ];
  }
  if (by === "request") {
    const all = experts.map(({ name, weight }) => (weight === 1 ? quote(name) : `${quote(name)} × ${weight}`));
    return [`Answered by ${all.join(" and ")}, as asked for.`];
  }
  const nearest = trace[0]?.nearest ?? [];
  const of = nearest.length;
  const countOf = (id: string): number => ranking.find((one) => one.id === id)?.votes ?? 0;
  const scoreOf = (id: string): string => (nearest.find(({ expert }) => expert === id)?.score ?? 0).toFixed(2);
  const textsOf = (id: string): string[] =>
    nearest
      .filter(({ expert }) => expert === id)
      .slice(0, SHOWN_TEXTS)
      .flatMap(({ expert, key, score }) => {
        const text = textOf(expert, key);
        return text === undefined ? [] : [`    ${score.toFixed(2)}  ${quote(shortened(text))}`];
      });
  const others = ranking.filter(({ id }) => id !== answering.id);
  const ahead = others.filter(({ votes }) => votes >= countOf(answering.id));
  const texts = [answering, ...others.slice(0, MOST_OTHERS)].map(({ id }) => textsOf(id));
  const [own = [], ...theirs] = texts;
  return [
    `Answered by ${quote(answering.name)}: of all training inputs that the library remembers, one of its own is nearest to the text (likeness ${scoreOf(answering.id)}; 1 is the same).`,
    ...own,
    `Of the ${of} nearest ones ${countOf(answering.id)} are its own${others.length === 0 ? "; no other expert came close." : "."}`,
    ...others
      .slice(0, MOST_OTHERS)
      .flatMap(({ id, votes }, index) => [
        `  ${quote(nameOf(id))} has ${votes}, the nearest with likeness ${scoreOf(id)}`,
        ...(theirs[index] ?? []),
      ]),
    ...(others.length > MOST_OTHERS ? [`  and ${others.length - MOST_OTHERS} more`] : []),
    ...(ahead.length > 0
      ? [`This was close: ${ahead.map(({ id }) => quote(nameOf(id))).join(" and ")} could as well have been meant.`]
      : []),
    ...(texts.flat().length === 0
      ? ["(The texts of these inputs are not stored; cadre train --key-texts stores them.)"]
      : []),
  ];
}

function shortened(text: string): string {
  const characters = [...text];
  return characters.length <= SHOWN_CHARACTERS ? text : `${characters.slice(0, SHOWN_CHARACTERS).join("")}…`;
}
