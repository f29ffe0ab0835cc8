import assert from 'node:assert/strict';
import { test } from 'node:test';

import { COLOURS, Palette } from '../src/palette.js';

test('no two have the same colour while there are enough', () => {
  const palette = new Palette();
  const ids = Array.from({ length: COLOURS }, (_, each) => `l${each}`);
  palette.keep(ids);
  assert.equal(new Set(ids.map(each => palette.colourOf(each))).size, COLOURS);
});

test('a colour stays while its lease lives, and is used again when it is over', () => {
  const palette = new Palette();
  palette.keep(['a', 'b', 'c']);
  const [b, c] = [palette.colourOf('b'), palette.colourOf('c')];
  palette.keep(['b', 'c', 'd']);
  assert.deepEqual([palette.colourOf('b'), palette.colourOf('c')], [b, c]);
  assert.equal(palette.colourOf('d'), 0);
});

test('two hundred leases share the colours evenly, and nothing grows', () => {
  const palette = new Palette();
  const ids = Array.from({ length: 200 }, (_, each) => `l${each}`);
  palette.keep(ids);
  const used = new Array<number>(COLOURS).fill(0);
  for (const each of ids) {
    const colour = palette.colourOf(each);
    used[colour] = (used[colour] ?? 0) + 1;
  }
  assert.ok(Math.max(...used) - Math.min(...used) <= 1);
});
