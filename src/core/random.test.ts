import fc from "fast-check";
import { expect, test } from "vitest";
import { createRandom, hashText, randomUint32 } from "./random.js";
import { threefry } from "./threefry.js";

const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });

test("the blocks are those of Threefry-2x32-20 (known answers of Random123)", () => {
  const known: readonly (readonly number[])[] = [
    // key, counter, output
    [0, 0, 0, 0, 0x6b200159, 0x99ba4efe],
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x1cb996fc, 0xbb002be7],
    [0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3, 0xc4923a9c, 0x483df7a0],
  ];
  for (const [keyFirst = 0, keySecond = 0, low = 0, high = 0, first, second] of known) {
    const block = { first: keyFirst, second: keySecond };
    threefry(block, low, high);
    expect(block).toEqual({ first, second });
  }
  const random = createRandom(0, 0);
  expect([random.nextUint32(), random.nextUint32()]).toEqual([0x6b200159, 0x99ba4efe]);
});

test("a restored stream repeats the numbers that followed", () => {
  fc.assert(
    fc.property(uint32, uint32, fc.nat(50), (seed, stream, skip) => {
      const random = createRandom(seed, stream);
      for (let index = 0; index < skip; index += 1) random.nextUint32();
      const state = JSON.parse(JSON.stringify(random.state()));
      const draw = () => [random.nextUint32(), random.nextFloat(), random.nextNormal(), random.nextInteger(10)];
      const expected = draw();
      random.restore(state);
      expect(draw()).toEqual(expected);
      const other = createRandom(0);
      other.restore(state);
      expect(other.nextUint32()).toBe(expected[0]);
    }),
  );
});

test("positions past 2^32 blocks go on without a break", () => {
  const random = createRandom(1);
  random.restore([1, 0, 2 ** 33 - 1]);
  const across = [random.nextUint32(), random.nextUint32()];
  random.restore([1, 0, 2 ** 33]);
  expect(random.nextUint32()).toBe(across[1]);
  expect(across[1]).not.toBe(createRandom(1).nextUint32());
});

test("floats and normals have the moments of their distributions", () => {
  const random = createRandom(42);
  const count = 20_000;
  let sum = 0;
  let normalSum = 0;
  let squares = 0;
  for (let index = 0; index < count; index += 1) {
    const value = random.nextFloat();
    expect(value >= 0 && value < 1).toBe(true);
    sum += value;
    const normal = random.nextNormal();
    normalSum += normal;
    squares += normal * normal;
  }
  expect(sum / count).toBeCloseTo(0.5, 1);
  expect(Math.abs(normalSum / count)).toBeLessThan(0.03);
  expect(Math.abs(squares / count - 1)).toBeLessThan(0.05);
});

test("integers stay below their limit and are even over it", () => {
  const random = createRandom(7);
  const counts = new Array(6).fill(0);
  for (let index = 0; index < 12_000; index += 1) counts[random.nextInteger(6)] += 1;
  for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(200);
  expect(random.nextInteger(1)).toBe(0);
  expect(random.nextInteger(2 ** 32)).toBeLessThan(2 ** 32);
  for (const limit of [0, -1, 1.5, 2 ** 32 + 1, Number.NaN]) {
    expect(() => random.nextInteger(limit)).toThrow(expect.objectContaining({ code: "invalid-argument" }));
  }
});

test("shuffle keeps the elements and reaches every order", () => {
  const random = createRandom(3);
  const orders = new Set<string>();
  for (let index = 0; index < 200; index += 1) orders.add(random.shuffle(["a", "b", "c"]).join(""));
  expect(orders.size).toBe(6);
  expect(random.shuffle([])).toEqual([]);
});

test("randomUint32 is a function of its arguments, each of which matters", () => {
  fc.assert(
    fc.property(uint32, fc.array(uint32, { maxLength: 5 }), (seed, counters) => {
      const value = randomUint32(seed, ...counters);
      expect(value).toBe(randomUint32(seed, ...counters));
      expect(value >>> 0).toBe(value);
    }),
  );
  const values = [[], [0], [0, 0], [0, 0, 0], [1], [0, 1], [1, 0], [0, 0, 1]].map((list) => randomUint32(9, ...list));
  expect(new Set(values).size).toBe(values.length);
});

test("pinned values: a change of these breaks every stored seed", () => {
  const random = createRandom(1234, 5);
  expect([random.nextUint32(), random.nextUint32(), random.nextUint32()]).toMatchInlineSnapshot(`
    [
      2224089123,
      3802744327,
      2864895774,
    ]
  `);
  expect([randomUint32(1, 2, 3), hashText(""), hashText("cadre")]).toMatchInlineSnapshot(`
    [
      1513075373,
      2872998923,
      1193336832,
    ]
  `);
});

test("seeds, counters and states outside their range are refused", () => {
  const refused = expect.objectContaining({ code: "invalid-argument" });
  for (const bad of [-1, 1.5, 2 ** 32, Number.NaN]) {
    expect(() => createRandom(bad)).toThrow(refused);
    expect(() => createRandom(0, bad)).toThrow(refused);
    expect(() => randomUint32(0, bad)).toThrow(refused);
    expect(() => createRandom(0).restore([bad, 0, 0])).toThrow(refused);
  }
  for (const bad of [[], [1, 2], [0, 0, -1], [0, 0, 0.5], [0, 0, 0, 0]]) {
    expect(() => createRandom(0).restore(bad)).toThrow(refused);
  }
});
