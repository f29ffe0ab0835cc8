import assert from 'node:assert/strict';
import { test } from 'node:test';

import { nullTranslator } from '@jupyterlab/translation';

import { Waits } from '../src/waits.js';
import type { ILease } from '../src/views.js';
import { lease, waiting } from './views.js';

const trans = nullTranslator.load('');

function told(leases: ILease[], cancelled = false, problem: unknown = null) {
  return { leases, problem, hasCancelled: () => cancelled };
}

/** What is said when the second picture comes ten seconds after the first. */
function said(before: ILease[], after: ReturnType<typeof told>, later = 10_000): string[] {
  const waits = new Waits(trans);
  waits.news(told(before), 0);
  return waits.news(after, later).map(news => `${news.kind}: ${news.message}`);
}

test('a slice after a wait is news, once', () => {
  const waits = new Waits(trans);
  waits.news(told([waiting()]), 0);
  assert.deepEqual(
    waits.news(told([lease()]), 10_000).map(news => news.message),
    ['train.ipynb has its 1g.5gb slice.']
  );
  assert.deepEqual(waits.news(told([lease()]), 12_000), []);
});

test('a slice at once is no news', () => {
  assert.deepEqual(said([], told([lease()])), []);
  assert.deepEqual(said([waiting()], told([lease()]), 1_000), []);
});

test('a wait that is over without a slice is news, unless we called it off', () => {
  assert.deepEqual(said([waiting()], told([])), [
    'refused: train.ipynb does not wait for 1g.5gb any more.'
  ]);
  assert.deepEqual(said([waiting()], told([], true)), []);
});

test('while nothing is known there is no news, and nothing is forgotten', () => {
  const waits = new Waits(trans);
  waits.news(told([waiting()]), 0);
  assert.deepEqual(waits.news(told([], false, 'cut off'), 10_000), []);
  assert.equal(waits.news(told([lease()]), 20_000).length, 1);
});
