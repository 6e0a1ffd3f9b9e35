/** Two 32-bit words: a key before {@link threefry}, random numbers after. Both lie in [0, 2^32). */
export interface ThreefryBlock {
  first: number;
  second: number;
}

/**
 * The block cipher Threefry-2x32 with 20 rounds (Salmon et al. 2011, and Random123's `threefry2x32`). Replaces the key in
 * `block` by the output for that key and the counter (low, high), both in [0, 2^32).
 */
export function threefry(block: ThreefryBlock, low: number, high: number): void {
  const key0 = block.first | 0;
  const key1 = block.second | 0;
  const key2 = key0 ^ key1 ^ 0x1bd11bda;
  let x = (low + key0) | 0;
  let y = (high + key1) | 0;
  // Five groups of four rounds; after each group the next two key words and the group's number are added.
  for (let group = 1; group <= 5; group += 1) {
    const odd = group % 2 === 1;
    x = (x + y) | 0;
    y = rotate(y, odd ? 13 : 17) ^ x;
    x = (x + y) | 0;
    y = rotate(y, odd ? 15 : 29) ^ x;
    x = (x + y) | 0;
    y = rotate(y, odd ? 26 : 16) ^ x;
    x = (x + y) | 0;
    y = rotate(y, odd ? 6 : 24) ^ x;
    const turn = group % 3;
    x = (x + (turn === 0 ? key0 : turn === 1 ? key1 : key2)) | 0;
    y = (y + (turn === 0 ? key1 : turn === 1 ? key2 : key0) + group) | 0;
  }
  block.first = x >>> 0;
  block.second = y >>> 0;
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
