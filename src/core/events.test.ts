import { expect, test } from "vitest";
import { emit } from "./events.js";

test("a handler receives the event; no handler is fine", () => {
  const seen: number[] = [];
  emit((event: number) => void seen.push(event), 5);
  emit(undefined, 6);
  expect(seen).toEqual([5]);
});

test("a failing handler never breaks the work and is reported once", async () => {
  const warnings: Error[] = [];
  const listener = (warning: Error) => void warnings.push(warning);
  process.on("warning", listener);
  try {
    const throwing = () => {
      throw new Error("in handler");
    };
    const rejecting = async () => {
      throw new Error("in promise");
    };
    for (let turn = 0; turn < 3; turn += 1) {
      emit(throwing, turn);
      emit(rejecting, turn);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
    const ours = warnings.filter((warning) => warning.name === "CadreEventHandlerWarning");
    expect(ours.map((warning) => warning.message)).toEqual([
      "an event handler failed: in handler",
      "an event handler failed: in promise",
    ]);
  } finally {
    process.off("warning", listener);
  }
});
