import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Model } from '../src/model.js';
import type { IOverview } from '../src/views.js';
import { gpu, instance, lease, overview, reading, readings, waiting } from './views.js';

/** A server whose answer can be changed, and that counts. */
class Server {
  asked = 0;
  cancelled: string[] = [];

  constructor(public answer: () => IOverview) {}

  async overview(): Promise<IOverview> {
    this.asked += 1;
    return this.answer();
  }

  async cancel(kernelId: string): Promise<void> {
    this.cancelled.push(kernelId);
    this.answer = () => overview([]);
  }
}

const FAST = { calm: 20, attentive: 5 };
const NEVER = { calm: 1e6, attentive: 1e6 };

/** Resolves when the model has changed `times` times. */
async function changes(model: Model, times: number): Promise<void> {
  await new Promise<void>(resolve => {
    let left = times;
    const count = (): void => {
      left -= 1;
      if (left === 0) {
        model.changed.disconnect(count);
        resolve();
      }
    };
    model.changed.connect(count);
  });
}

test('it asks again and again once started', async () => {
  const server = new Server(() => overview([lease()]));
  const model = new Model(server, FAST);
  model.start();
  await changes(model, 3);
  assert.equal(model.leaseOf('k1')?.leaseId, 'l1');
  assert.equal(server.asked, 3);
  model.dispose();
});

test('after a failure the last answer stays, with why there is no newer one', async () => {
  const server = new Server(() => overview([lease()]));
  const model = new Model(server, FAST);
  model.start();
  await changes(model, 1);
  server.answer = () => {
    throw new Error('cut off');
  };
  await changes(model, 1);
  assert.equal(model.problem?.message, 'cut off');
  assert.equal(model.leases.length, 1);
  server.answer = () => overview([]);
  await changes(model, 1);
  assert.equal(model.problem, null);
  assert.equal(model.leases.length, 0);
  model.dispose();
});

test('calling a wait off is seen at once', async () => {
  const server = new Server(() => overview([waiting()]));
  const model = new Model(server, NEVER);
  model.start();
  await changes(model, 1);
  const [wait] = model.waiting;
  assert.ok(wait);
  const seen = changes(model, 2);
  const cancelling = model.cancel(wait);
  assert.equal(model.waiting.length, 0);
  await cancelling;
  await seen;
  assert.deepEqual(server.cancelled, ['k1']);
  assert.equal(model.waiting.length, 0);
  model.dispose();
});

test('a wait that could not be called off is still there', async () => {
  const server = new Server(() => overview([waiting()]));
  server.cancel = async () => {
    throw new Error('too late');
  };
  const model = new Model(server, NEVER);
  model.start();
  await changes(model, 1);
  await assert.rejects(model.cancel(waiting()), /too late/);
  assert.equal(model.waiting.length, 1);
  model.dispose();
});

test('an answer that comes after a later one is dropped', async () => {
  const answers: ((answer: IOverview) => void)[] = [];
  const slow = () => new Promise<IOverview>(resolve => answers.push(resolve));
  const asked = async (times: number): Promise<void> => {
    while (answers.length < times) {
      await new Promise(resolve => setTimeout(resolve, 1));
    }
  };
  const model = new Model({ overview: slow, cancel: async () => {} }, NEVER);
  model.start();
  await asked(1);
  model.refresh();
  await asked(2);
  const seen = changes(model, 1);
  answers[1]?.(overview([lease({ leaseId: 'new' })]));
  await seen;
  answers[0]?.(overview([lease({ leaseId: 'old' })]));
  await new Promise(resolve => setImmediate(resolve));
  assert.equal(model.leases[0]?.leaseId, 'new');
  model.dispose();
});

test('readings belong to the instance that the lease holds', async () => {
  const instances = [
    instance({ instanceId: 'i1' }),
    instance({ instanceId: 'i2', leaseId: 'l1', start: 1 })
  ];
  const slices = [{ memoryUsedBytes: 1 }, { instanceId: 'i2', memoryUsedBytes: 2 }].map(reading);
  const server = new Server(() =>
    overview([lease()], { gpus: [gpu({ instances })] }, { readings: readings(...slices) })
  );
  const model = new Model(server, NEVER);
  model.start();
  await changes(model, 1);
  assert.equal(model.readingOf(lease())?.memoryUsedBytes, 2);
  assert.equal(model.readingOf(lease({ leaseId: 'l9' })), null);
  model.dispose();
});

test('who watches is answered at once', async () => {
  const server = new Server(() => overview([]));
  const model = new Model(server, NEVER);
  model.start();
  await changes(model, 1);
  const seen = changes(model, 1);
  const watching = model.watch();
  await seen;
  watching.dispose();
  assert.equal(server.asked, 2);
  model.dispose();
});
