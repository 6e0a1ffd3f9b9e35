import { expect, test, vi } from "vitest";
import { emit } from "./events.js";

test("a handler receives the event; no handler is fine", () => {
  const seen: number[] = [];
  emit((event: number) => void seen.push(event), 5);
  emit(undefined, 6);
  expect(seen).toEqual([5]);
});

test("a failing handler never breaks the work and is reported once", async () => {
  // Caught here, because a real process warning would also be printed.
  const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
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
    expect(warned.mock.calls.map(([warning]) => String(warning))).toEqual([
      "CadreEventHandlerWarning: an event handler failed: in handler",
      "CadreEventHandlerWarning: an event handler failed: in promise",
    ]);
  } finally {
    warned.mockRestore();
  }
});
