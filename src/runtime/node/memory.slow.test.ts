import { expect, test } from "vitest";
import { openDevice } from "./open-device.js";
import { constant, floats, model, node, value } from "./tiny-models.test.helpers.js";

const slow = process.env.CADRE_TESTS === "slow";
const SIZE = 1024;
const LAYERS = 30;
const TIMEOUT_MS = 240_000;

/** Highest resident memory in a stretch of a series; single values swing with V8's collections. */
function highest(series: readonly number[], from: number, to: number): number {
  return Math.max(...series.slice(from, to));
}

/** 31 million weights as constants, or as state slots that each run replaces. */
function chain(kind: "constants" | "state") {
  const names = Array.from({ length: LAYERS }, (_, index) => `w${index}`);
  const weights = () => new Float32Array(SIZE * SIZE).fill(1e-3);
  const isState = kind === "state";
  const bytes = model({
    inputs: [value("h0", ["batch", SIZE]), ...(isState ? names.map((name) => value(name, [SIZE, SIZE])) : [])],
    outputs: [
      value(`h${LAYERS}`, ["batch", SIZE]),
      ...(isState ? names.map((name) => value(`${name}.next`, [SIZE, SIZE])) : []),
    ],
    nodes: names.flatMap((name, index) => [
      node("MatMul", [`h${index}`, name], `h${index + 1}`),
      ...(isState ? [node("Add", [name, name], `${name}.next`)] : []),
    ]),
    constants: isState ? [] : names.map((name) => constant(name, [SIZE, SIZE], weights())),
  });
  const slots = new Map(isState ? names.map((name) => [name, floats([SIZE, SIZE], weights())]) : []);
  const updates = Object.fromEntries(isState ? names.map((name) => [name, `${name}.next`]) : []);
  return { bytes, slots, updates };
}

test.skipIf(!slow).each(["constants", "state"] as const)(
  "200 programs with 31 million weights as %s leave no memory behind",
  async (kind) => {
    const { bytes, slots, updates } = chain(kind);
    const h0 = floats([64, SIZE], new Float32Array(64 * SIZE));
    await using device = await openDevice();
    const resident: number[] = [];
    for (let cycle = 0; cycle < 200; cycle++) {
      await using program = await device.compile(bytes, { updates });
      await using state = await device.createState(slots);
      await program.run({ h0 }, { state });
      resident.push((await device.memory()).residentBytes);
    }
    console.info(`${kind}: cycle 20 ${resident[19]}, cycle 200 ${resident[199]} bytes`);
    expect(highest(resident, 180, 200)).toBeLessThan(1.05 * highest(resident, 10, 30));
  },
  TIMEOUT_MS,
);

test.skipIf(!slow)(
  "50 runs that replace a state of 300 MB hold at most four times as much",
  async () => {
    const count = 150;
    const elements = 500_000;
    const names = Array.from({ length: count }, (_, index) => `s${index}`);
    const stateBytes = count * elements * Float32Array.BYTES_PER_ELEMENT;
    await using device = await openDevice();
    await using program = await device.compile(
      model({
        inputs: names.map((name) => value(name, [elements])),
        outputs: names.map((name) => value(`${name}.next`, [elements])),
        nodes: names.map((name) => node("Add", [name, "one"], `${name}.next`)),
        constants: [constant("one", [1], Float32Array.of(1))],
      }),
      { updates: Object.fromEntries(names.map((name) => [name, `${name}.next`])) },
    );
    const before = (await device.memory()).residentBytes;
    await using state = await device.createState(new Map());
    for (const name of names) await state.write(new Map([[name, floats([elements], new Float32Array(elements))]]));
    const resident: number[] = [];
    const seconds: number[] = [];
    for (let run = 0; run < 50; run++) {
      const start = performance.now();
      await program.run({}, { state });
      seconds.push((performance.now() - start) / 1000);
      resident.push((await device.memory()).residentBytes - before);
    }
    const median = seconds.toSorted((a, b) => a - b)[25];
    console.info(
      `300 MB of state: ${median} s a run, at most ${highest(resident, 0, 50) / stateBytes} times the state`,
    );
    expect((await state.read(["s149"])).get("s149")?.data[0]).toBe(50);
    expect(highest(resident, 0, 50)).toBeLessThan(4 * stateBytes);
  },
  TIMEOUT_MS,
);

test.skipIf(!slow)(
  "ten devices after each other, each with a state of 120 MB, leave no memory behind",
  async () => {
    const resident: number[] = [];
    for (let round = 0; round < 10; round++) {
      await using device = await openDevice();
      const { bytes, slots, updates } = chain("state");
      await using program = await device.compile(bytes, { updates });
      await using state = await device.createState(slots);
      await program.run({ h0: floats([64, SIZE], new Float32Array(64 * SIZE)) }, { state });
      resident.push((await device.memory()).residentBytes);
    }
    console.info(`devices: ${resident.map((bytes) => Math.round(bytes / 1e6)).join(" ")} MB`);
    expect(highest(resident, 5, 10)).toBeLessThan(1.1 * highest(resident, 0, 5));
  },
  TIMEOUT_MS,
);
