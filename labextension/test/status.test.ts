import assert from 'node:assert/strict';
import { test } from 'node:test';

import { nullTranslator } from '@jupyterlab/translation';

import { ApiError } from '../src/api.js';
import { DecodeError } from '../src/decode.js';
import { Model } from '../src/model.js';
import { statusOf } from '../src/status.js';
import type { IOverview, IProblem } from '../src/views.js';
import { gpu, instance, lease, overview, reading, readings, waiting } from './views.js';

const trans = nullTranslator.load('');
const FRONT = { isThere: true, kernelId: 'k1' };

/** A model that was told these, one after the other. */
async function told(...answers: (IOverview | Error)[]): Promise<Model> {
  const queue = [...answers];
  const next = async (): Promise<IOverview> => {
    const answer = queue.shift();
    if (answer === undefined || answer instanceof Error) {
      throw answer ?? new Error('asked too often');
    }
    return answer;
  };
  const model = new Model(
    { overview: next, cancel: async () => {} },
    { calm: 1e6, attentive: 1e6 }
  );
  for (let each = answers.length; each > 0; each--) {
    const changed = new Promise<void>(resolve => {
      const once = (): void => {
        model.changed.disconnect(once);
        resolve();
      };
      model.changed.connect(once);
    });
    model.refresh();
    await changed;
    await new Promise(resolve => setImmediate(resolve));
  }
  return model;
}

function problem(parts: Partial<IProblem>): ApiError {
  const whole = { kind: '', message: 'It is so.', situation: '', nextStep: 'Do that.', ...parts };
  return new ApiError(503, whole);
}

async function text(front: typeof FRONT, ...answers: (IOverview | Error)[]): Promise<string> {
  const model = await told(...answers);
  const status = statusOf(trans, model, front);
  model.dispose();
  return `${status.kind}: ${status.text}`;
}

test('before the first answer it says what it is about', async () => {
  assert.equal(await text(FRONT), 'unknown: GPU slices');
});

test('with nothing in front it is quiet', async () => {
  assert.equal(await text({ ...FRONT, isThere: false }, overview([])), 'quiet: GPU slices');
});

test('a kernel without a lease has no slice', async () => {
  assert.equal(await text(FRONT, overview([lease({ kernelId: 'other' })])), 'none: no slice');
});

test('a wait has a place, and an estimate if somebody can know', async () => {
  assert.equal(
    await text(FRONT, overview([waiting()])),
    'waiting: waiting for 1g.5gb: 2nd in line'
  );
  const soon = waiting({ place: 1, estimateSeconds: 32 });
  assert.equal(
    await text(FRONT, overview([soon])),
    'waiting: waiting for 1g.5gb: next in line, about 32 s'
  );
});

test('who waits for himself is told for what, and not his place', async () => {
  const overQuota = 'You hold 1 slice. Rule 1 (*): at most 1 slice.';
  const status = statusOf(trans, await told(overview([waiting({ overQuota })])), FRONT);
  assert.equal(status.text, 'waiting for 1g.5gb: until one of yours ends');
  assert.match(status.details, /^You hold 1 slice/);
});

test('until when a rule gives a slice is in the details, and near the end beside the size', async () => {
  const parts = { rule: 'rule 1 (*)', endsInSeconds: 7200 };
  const far = statusOf(trans, await told(overview([lease(parts)])), FRONT);
  assert.equal(far.text, '1g.5gb');
  assert.match(far.details, /until .*\d\d:\d\d.*, by rule 1 \(\*\)/);
  const near = statusOf(
    trans,
    await told(overview([lease({ ...parts, endsInSeconds: 90 })])),
    FRONT
  );
  assert.match(near.text, /^1g\.5gb until .*\d\d:\d\d/);
});

test('a slice with readings has numbers, and one without says only its size', async () => {
  const held = instance({ instanceId: 'i1', leaseId: 'l1', mine: true });
  const node = { gpus: [gpu({ instances: [held] })] };
  const model = await told(overview([lease()], node, { readings: readings(reading()) }));
  const status = statusOf(trans, model, FRONT);
  assert.deepEqual(
    [status.text, status.memory, status.fullness],
    ['1g.5gb', '1.0 of 4.0 GiB', 0.25]
  );
  const unread = statusOf(trans, await told(overview([lease()], node)), FRONT);
  assert.deepEqual([unread.text, unread.memory, unread.fullness], ['1g.5gb', null, null]);
});

test('when the broker is gone the slice is still ours, and that is said', async () => {
  const gone = problem({ kind: 'broker-unreachable' });
  assert.equal(await text(FRONT, gone), 'broken: broker unreachable');
  assert.equal(
    await text(FRONT, overview([lease()]), gone),
    'broken: 1g.5gb: broker unreachable, slice still yours'
  );
});

test('when the broker is back the problem is over', async () => {
  const answers = [overview([lease()]), problem({ kind: 'broker-unreachable' })];
  assert.equal(await text(FRONT, ...answers, overview([lease()])), 'held: 1g.5gb');
});

test('a server that does not answer is no broker that does not', async () => {
  assert.equal(await text(FRONT, new TypeError('fetch failed')), 'broken: server unreachable');
});

test('a proxy whose server is gone is no broker that is gone', async () => {
  assert.equal(await text(FRONT, problem({ kind: '' })), 'broken: server unreachable');
});

test('an answer that is not understood is said to be one', async () => {
  const model = await told(new DecodeError('node', 'an object'));
  const status = statusOf(trans, model, FRONT);
  assert.equal(status.text, 'server not understood');
  assert.match(status.details, /node is not an object\.\n.*Load the page again\./);
});

test('a machine without a driver has no slices, and nothing is broken', async () => {
  assert.equal(await text(FRONT, problem({ kind: 'no-driver' })), 'none: no GPU slices here');
});

test('utilization stands beside the memory, all of it and its source in the details', async () => {
  const held = instance({ instanceId: 'i1', leaseId: 'l1', mine: true });
  const node = { gpus: [gpu({ instances: [held] })] };
  const busy = reading({
    utilization: { future: 1, dram: 29.6, sm: 43.4 },
    utilizationSource: 'GPM',
    processes: 2
  });
  const model = await told(overview([lease()], node, { readings: readings(busy) }));
  const status = statusOf(trans, model, FRONT);
  assert.equal(status.busy, 'SM 43 %');
  assert.match(status.details, /^SM 43 %, DRAM 30 %, future 1 % \(GPM\)$/m);
  assert.match(status.details, /^2 CUDA processes$/m);
});

test('where utilization cannot be measured only the details say so, and why', async () => {
  const held = instance({ instanceId: 'i1', leaseId: 'l1', mine: true });
  const node = { gpus: [gpu({ instances: [held] })] };
  const idle = reading({ utilizationNotAvailable: 'An A100 has no GPM.' });
  const model = await told(overview([lease()], node, { readings: readings(idle) }));
  const status = statusOf(trans, model, FRONT);
  assert.equal(status.busy, null);
  assert.match(status.details, /^utilization not available: An A100 has no GPM\.$/m);
});
