import assert from 'node:assert/strict';
import { test } from 'node:test';

import { curve } from '../src/curve.js';

/** Values every two seconds, the last one now. */
function every2s(values: (number | null)[]) {
  return values.map((value, index) => ({ at: 2_000 * index, value }));
}

test('nothing known is nothing drawn', () => {
  assert.equal(curve([], 1), null);
  assert.equal(curve(every2s([null, null]), 1), null);
  assert.equal(curve(every2s([1, 2]), 0), null);
});

test('the newest value is at the right, the most at the top', () => {
  const drawn = curve(every2s([0, 10]), 10);
  assert.equal(drawn?.line, 'M96.7 100L100 0');
  assert.equal(drawn.area, 'M96.7 100L100 0L100 100L96.7 100Z');
});

test('a single value is a dash that can be seen', () => {
  assert.equal(curve(every2s([5]), 10)?.line, 'M98 50L100 50');
});

test('more than the most (another tenant of a whole GPU) stays in the box', () => {
  assert.equal(curve(every2s([20]), 10)?.line, 'M98 0L100 0');
});

test('the span is the shortest that holds everything, and fifteen minutes at most', () => {
  const spans = [2, 31, 32, 61, 62, 151, 152, 2_000].map(
    count => curve(every2s(new Array<number>(count).fill(1)), 1)?.spanMs
  );
  assert.deepEqual(spans, [60_000, 60_000, 120_000, 120_000, 300_000, 300_000, 900_000, 900_000]);
});

test('a short peak is seen, however many values there are', () => {
  const values = new Array<number>(450).fill(0);
  values[217] = 10;
  const drawn = curve(every2s(values), 10);
  assert.match(drawn?.line ?? '', /\d 0L/);
  assert.ok((drawn?.line.match(/L/g) ?? []).length <= 61);
});

test('where nothing was known for long the line is broken', () => {
  const values = [
    { at: 0, value: 1 },
    { at: 2_000, value: 1 },
    { at: 500_000, value: 1 },
    { at: 502_000, value: 1 }
  ];
  assert.equal(curve(values, 1)?.line.split('M').length, 3);
});
