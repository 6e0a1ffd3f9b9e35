import { defineConfig } from "vitest/config";

/** Tests run from the sources; `npm test` builds first, because worker threads are started from dist (Node 20 cannot start a `.ts` one). */
export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    exclude: ["**/node_modules/**", "dist/**"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A process a test file, as each starts ONNX Runtime; two at a time, since they compute on several threads.
    pool: "forks",
    maxWorkers: 2,
  },
});
