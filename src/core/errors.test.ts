import { expect, test } from "vitest";
import { at } from "./at.js";
import { CadreError, exitCodeOf, throwIfAborted } from "./errors.js";

test("a CadreError carries its code, details and cause", () => {
  const cause = new Error("below");
  const error = new CadreError("invalid-file", "a.json: broken", { details: { line: 3 }, cause });
  expect(error).toMatchObject({ name: "CadreError", code: "invalid-file", details: { line: 3 }, cause });
  expect("cause" in new CadreError("internal", "x")).toBe(false);
});

test("isInstance recognises another copy of the class, not look-alikes", () => {
  const foreign = Object.assign(new Error("x"), { code: "closed", [Symbol.for("cadre.error")]: true });
  expect(CadreError.isInstance(foreign)).toBe(true);
  for (const value of [new Error("x"), { code: "closed" }, null, undefined, "closed"]) {
    expect(CadreError.isInstance(value)).toBe(false);
  }
});

test("exit codes follow the kind of failure", () => {
  expect(exitCodeOf(new CadreError("invalid-argument", ""))).toBe(2);
  expect(exitCodeOf(new CadreError("not-found", ""))).toBe(3);
  expect(exitCodeOf(new CadreError("engine-lost", ""))).toBe(4);
  expect(exitCodeOf(new CadreError("aborted", ""))).toBe(130);
  expect(exitCodeOf(new CadreError("internal", ""))).toBe(1);
  expect(exitCodeOf(new DOMException("stop", "AbortError"))).toBe(130);
  expect(exitCodeOf(Object.assign(new Error(""), { code: "ENOENT" }))).toBe(3);
  expect(exitCodeOf(Object.assign(new Error(""), { code: "ENOSPC" }))).toBe(4);
  expect(exitCodeOf(new TypeError("bug"))).toBe(1);
  expect(exitCodeOf("text")).toBe(1);
});

test("throwIfAborted stops only after the signal has fired", () => {
  const controller = new AbortController();
  throwIfAborted(undefined);
  throwIfAborted(controller.signal);
  controller.abort("enough");
  expect(() => throwIfAborted(controller.signal)).toThrow(
    expect.objectContaining({ code: "aborted", cause: "enough" }),
  );
});

test("at reads within bounds and throws outside", () => {
  expect(at([1, 2, 3], 2)).toBe(3);
  expect(at(new Float32Array([0]), 0)).toBe(0);
  expect(at([null], 0)).toBe(null);
  for (const index of [-1, 3, 0.5, Number.NaN]) {
    expect(() => at([1, 2, 3], index)).toThrow(expect.objectContaining({ code: "internal" }));
  }
});
