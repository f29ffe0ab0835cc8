import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { test } from 'node:test';

import type { ISurroundings } from '../src/bulletin.js';
import { Bulletin, NEWS_MS } from '../src/bulletin.js';
import type { INews, Kind } from '../src/news.js';
import { KINDS, newsIn } from '../src/news.js';

function news(kind: Kind, leaseId = 'l1', nextStep = ''): INews {
  const message = `${leaseId} is ${kind}.`;
  return { kind, kernelId: 'k1', leaseId, size: '1g.5gb', label: 'a.ipynb', message, nextStep };
}

/** A bulletin in a tab where nothing is special but what the test says, and what it shows. */
function tab(t: TestContext, around: Partial<ISurroundings> = {}) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const shown: string[] = [];
  const keys: string[] = [];
  const bulletin = new Bulletin({
    isWanted: () => true,
    isWaiting: () => false,
    hasCancelled: () => false,
    isOpen: () => false,
    show: ({ key, type, text }) => {
      shown.push(`${type}: ${text}`);
      keys.push(key);
    },
    ...around
  });
  return { bulletin, shown, keys, pass: (ms: number) => t.mock.timers.tick(ms) };
}

test('a slice at once is no news, and neither is a short wait', t => {
  const { bulletin, shown, pass } = tab(t);
  bulletin.take(news('granted'));
  bulletin.take(news('waiting', 'l2'));
  pass(NEWS_MS - 1);
  bulletin.take(news('granted', 'l2'));
  pass(NEWS_MS);
  assert.deepEqual(shown, []);
});

test('a wait is told once it lasts, and then its end in the same place', t => {
  const { bulletin, shown, keys, pass } = tab(t);
  bulletin.take(news('waiting'));
  bulletin.take(news('waiting'));
  pass(NEWS_MS);
  bulletin.take(news('granted'));
  assert.deepEqual(shown, ['info: l1 is waiting.', 'success: l1 is granted.']);
  assert.equal(keys[0], keys[1]);
});

test('after a page was loaded anew the end of a wait that goes on is still told', t => {
  const { bulletin, shown } = tab(t, { isWaiting: () => true });
  bulletin.take(news('granted'));
  assert.deepEqual(shown, ['success: l1 is granted.']);
});

test('a refusal is told by JupyterLab where the notebook is open, and by us elsewhere', t => {
  const { bulletin, shown } = tab(t, { isOpen: ({ leaseId }) => leaseId === 'l1' });
  bulletin.take(news('refused'));
  bulletin.take(news('refused', 'l2'));
  assert.deepEqual(shown, ['error: l2 is refused.']);
});

test('what the user has called off is no news', t => {
  const { bulletin, shown, pass } = tab(t, { hasCancelled: () => true });
  bulletin.take(news('waiting'));
  bulletin.take(news('refused'));
  bulletin.take(news('released'));
  pass(NEWS_MS);
  assert.deepEqual(shown, []);
});

test('only what is wanted is shown', t => {
  const { bulletin, shown } = tab(t, { isWanted: kind => kind === 'idle' });
  bulletin.take(news('lost'));
  bulletin.take(news('idle'));
  assert.deepEqual(shown, ['warning: l1 is idle.']);
});

test('what this tab finds out by itself is not told twice', t => {
  const { bulletin, shown } = tab(t, { isWaiting: () => true });
  bulletin.take(news('granted'));
  bulletin.takeOwn(news('granted'));
  bulletin.takeOwn(news('granted', 'l2'));
  assert.deepEqual(shown, ['success: l1 is granted.', 'success: l2 is granted.']);
});

test('the next step is said where there is room for it', t => {
  const { bulletin, shown } = tab(t);
  bulletin.take(news('nearly-full', 'l1', 'Take a larger one.'));
  bulletin.take(news('nearly-full', 'l2', 'x'.repeat(140)));
  assert.deepEqual(shown, [
    'warning: l1 is nearly-full. Take a larger one.',
    'warning: l2 is nearly-full.'
  ]);
});

test('however long a tab is open, little is remembered', t => {
  const { bulletin, pass } = tab(t);
  for (let each = 0; each < 5_000; each++) {
    for (const kind of KINDS) {
      bulletin.take(news(kind, `l${each}`));
    }
  }
  pass(NEWS_MS);
  const sizes = Object.values(bulletin).flatMap((each: unknown) =>
    each instanceof Map || each instanceof Set ? [each.size] : []
  );
  assert.equal(sizes.length, 2);
  assert.ok(Math.max(...sizes) <= 1_000);
});

const EMISSION = {
  schema_id: 'urn:jupyter-mig:slice:v1',
  kind: 'nearly-full',
  kernel_id: 'k1',
  lease_id: 'l1',
  message: 'a.ipynb: 4.6 of 4.8 GiB are used.',
  next_step: 'Change its size.'
};

test('an event is understood, with what an older server does not say, and more', () => {
  const read = newsIn({ ...EMISSION, from_the_future: 1 });
  assert.deepEqual([read?.kind, read?.leaseId, read?.label], ['nearly-full', 'l1', '']);
});

test('events of others, of later kinds and of other forms are passed over', () => {
  for (const other of [
    { ...EMISSION, schema_id: 'https://events.jupyter.org/jupyter_server/kernel_actions/v1' },
    { ...EMISSION, schema_id: 'urn:jupyter-mig:slice:v2' },
    { ...EMISSION, kind: 'moved' },
    { ...EMISSION, message: 7 }
  ]) {
    assert.equal(newsIn(other), null);
  }
});
