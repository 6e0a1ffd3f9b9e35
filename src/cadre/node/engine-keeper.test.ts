import { expect, test } from "vitest";
import { CadreError } from "../../core/errors.js";
import type { Engine } from "./engine.js";
import { createEngineKeeper } from "./engine-keeper.js";

interface FakeEngine {
  readonly engine: Engine;
  alive: boolean;
  closed: number;
}

function lost(): CadreError {
  return new CadreError("engine-lost", "the worker ended");
}

/** A keeper of engines that only tell whether they live. */
function keepFakes({ failing = 0 }: { readonly failing?: number } = {}) {
  const engines: FakeEngine[] = [];
  const noCall = (): never => {
    throw new Error("no test asks this of an engine");
  };
  let failures = failing;
  const keeper = createEngineKeeper(async () => {
    if (failures-- > 0) throw new CadreError("unavailable", "no device");
    const fake: FakeEngine = {
      alive: true,
      closed: 0,
      engine: {
        isAlive: async () => fake.alive,
        close: async () => {
          fake.closed++;
        },
        ...{ score: noCall, generate: noCall, route: noCall, embed: noCall, retire: noCall },
      },
    };
    engines.push(fake);
    return fake.engine;
  });
  const numberOf = (engine: Engine): number => engines.findIndex((fake) => fake.engine === engine);
  return { keeper, engines, numberOf };
}

test("all calls use one engine, which is opened by the first", async () => {
  const { keeper, engines, numberOf } = keepFakes();
  expect(await keeper.present()).toBeUndefined();
  expect(await Promise.all([1, 2, 3].map(() => keeper.use(async (engine) => numberOf(engine))))).toEqual([0, 0, 0]);
  expect(await keeper.use(async (engine) => numberOf(engine))).toBe(0);
  await keeper.close();
  expect(engines.map(({ closed }) => closed)).toEqual([1]);
});

test("an engine that died at rest is replaced before the next call", async () => {
  const { keeper, engines, numberOf } = keepFakes();
  await keeper.use(async () => undefined);
  for (const fake of engines) fake.alive = false;
  expect(await Promise.all([1, 2].map(() => keeper.use(async (engine) => numberOf(engine))))).toEqual([1, 1]);
  expect(engines.map(({ closed }) => closed)).toEqual([1, 0]);
});

test("calls under way fail with a dying engine; calls that begin afterwards get another, though others still fail", async () => {
  const { keeper, engines, numberOf } = keepFakes();
  let failSlow = (): void => {};
  const slow = keeper.use(
    () =>
      new Promise<never>((_, reject) => {
        failSlow = () => reject(lost());
      }),
  );
  const quick = keeper.use(async () => {
    for (const fake of engines) fake.alive = false;
    throw lost();
  });
  await expect(quick).rejects.toMatchObject({ code: "engine-lost" });
  expect(await keeper.use(async (engine) => numberOf(engine))).toBe(1);
  failSlow();
  await expect(slow).rejects.toMatchObject({ code: "engine-lost" });
  // Its failure is not taken for that of the new engine.
  expect(await keeper.use(async (engine) => numberOf(engine))).toBe(1);
  expect(engines.map(({ closed }) => closed)).toEqual([1, 0]);
});

test("other errors leave the engine alone, and a device that did not open is tried again", async () => {
  const { keeper, engines, numberOf } = keepFakes({ failing: 1 });
  await expect(keeper.use(async () => 1)).rejects.toMatchObject({ code: "unavailable" });
  await expect(
    keeper.use(async () => {
      throw new CadreError("invalid-argument", "no");
    }),
  ).rejects.toMatchObject({ code: "invalid-argument" });
  expect(await keeper.use(async (engine) => numberOf(engine))).toBe(0);
  expect(engines).toHaveLength(1);
});
