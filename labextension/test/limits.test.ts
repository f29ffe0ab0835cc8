import assert from 'node:assert/strict';
import { test } from 'node:test';

import { nullTranslator } from '@jupyterlab/translation';

import { availability } from '../src/availability.js';
import type { IChoice } from '../src/choices.js';
import { choices, freeFor, isOverQuota } from '../src/choices.js';
import { kernelspecs, sizes } from './kernelspecs.js';
import { lease } from './views.js';

const TRANS = nullTranslator.load('jupyter_mig');
const MINE = lease({ leaseId: 'mine' });
const FULL = { unclaimed: 3, overQuota: 'you hold 1 of 1 slices allowed' };

/** The smallest size, with what is said of it. */
function choice(parts: Parameters<typeof sizes>[1], free = 0): IChoice {
  const [first] = choices(kernelspecs('python3'), sizes({ '1g.5gb': free }, parts));
  assert.ok(first !== undefined);
  return first;
}

test('a new slice is beyond the limit, one in place of what one holds is not', () => {
  const [size] = sizes({ '1g.5gb': 0 }, { ...FULL, insteadOf: ['mine'] });
  assert.ok(size !== undefined);
  assert.deepEqual([freeFor(size, null), freeFor(size, MINE)], [0, 3]);
  assert.deepEqual([isOverQuota(size, null), isOverQuota(size, MINE)], [true, false]);
  const other = choice({ ...FULL, insteadOf: ['mine'] });
  assert.equal(availability(TRANS, other), 'at your limit');
  assert.equal(availability(TRANS, other, MINE), '3 of 7 free');
});

test('a size that is too much also in place of what one holds', () => {
  assert.equal(availability(TRANS, choice(FULL), MINE), 'at your limit');
});

test('a rule that never allows a size is named', () => {
  const ruledOut = choice({ unclaimed: 3, notAllowed: 'rule 1 (*)' });
  assert.equal(availability(TRANS, ruledOut), 'not allowed by rule 1 (*)');
});

test('an older broker knows of no limits', () => {
  const [size] = sizes({ '1g.5gb': 2 }, { unclaimed: null });
  assert.ok(size !== undefined);
  assert.equal(freeFor(size, MINE), 2);
});
