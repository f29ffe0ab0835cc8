import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { INews, Kind } from '../src/news.js';
import { KINDS, newsIn } from '../src/news.js';
import { isPast, noticeOf } from '../src/notices.js';
import { lease } from './views.js';

function news(kind: Kind, parts: Partial<INews> = {}): INews {
  return {
    kind,
    kernelId: 'k1',
    leaseId: 'l1',
    size: '1g.5gb',
    label: 'a.ipynb',
    message: `It is ${kind}.`,
    nextStep: '',
    ...parts
  };
}

test('the end of a wait takes the place of its beginning, and other things have places of their own', () => {
  const keys = KINDS.map(kind => noticeOf(news(kind)).key);
  assert.deepEqual(keys, [
    'wait l1',
    'wait l1',
    'wait l1',
    'end l1',
    'end l1',
    'full l1',
    'idle l1',
    'ending l1'
  ]);
});

test('two kernels that were refused at once have two notices', () => {
  const refused = (kernelId: string): string =>
    noticeOf(news('refused', { leaseId: '', kernelId })).key;
  assert.notEqual(refused('k1'), refused('k2'));
});

test('what is lost is said until somebody has read it', () => {
  assert.equal(noticeOf(news('lost')).milliseconds, false);
});

test('what is past is not shown any longer; how something ended is', () => {
  const waiting = lease({ leaseId: 'l1', state: 'waiting' });
  const bound = lease({ leaseId: 'l1', state: 'bound' });
  const past = (...leases: (typeof bound)[]): Kind[] =>
    KINDS.filter(kind => isPast(news(kind), leases));
  assert.deepEqual(past(waiting), []);
  assert.deepEqual(past(bound), ['waiting']);
  assert.deepEqual(past(lease({ leaseId: 'l2' })), ['waiting', 'nearly-full', 'idle', 'ending']);
});

test('the next step is said where there is room for it', () => {
  const said = (nextStep: string): string => noticeOf(news('idle', { nextStep })).text;
  assert.equal(said('Shut it down.'), 'It is idle. Shut it down.');
  assert.equal(said('x'.repeat(140)), 'It is idle.');
});

const EMISSION = {
  schema_id: 'urn:jupyter-mig:slice:v1',
  kind: 'nearly-full',
  kernel_id: 'k1',
  lease_id: 'l1',
  message: 'a.ipynb uses 4.6 GiB of the 4.8 GiB of its slice.',
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
