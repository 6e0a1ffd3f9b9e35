import { defineConfig } from "vitest/config";

/** Suites by the ending of their files: the normal one, `slow` (minutes) and `data` (needs ../shared/data). */
const endings: Readonly<Record<string, string>> = { slow: ".slow.test.ts", data: ".data.test.ts" };
const ending = endings[process.env.CADRE_TESTS ?? ""];

/** Tests run from the sources; `npm test` builds first, because worker threads are started from dist (Node 20 cannot start a `.ts` one). */
export default defineConfig({
  test: {
    include: [`src/**/*${ending ?? ".test.ts"}`, `test/**/*${ending ?? ".test.ts"}`],
    exclude: [
      "**/node_modules/**",
      "dist/**",
      ...(ending === undefined ? Object.values(endings).map((end) => `**/*${end}`) : []),
    ],
    testTimeout: ending === undefined ? 60_000 : 1_200_000,
    hookTimeout: 60_000,
    // A process a test file, as each starts ONNX Runtime; two at a time, since they compute on several threads.
    pool: "forks",
    maxWorkers: ending === undefined ? 2 : 1,
  },
});
