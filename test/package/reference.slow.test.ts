import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runProcess } from "../../src/core/node/run-process.test.helpers.js";

test("everything that is exported is documented, and no link of the reference leads nowhere", async () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const { code, output, errors } = await runProcess("npx", ["typedoc", "--emit", "none"], { cwd: root });
  expect(code, output + errors).toBe(0);
}, 600_000);
