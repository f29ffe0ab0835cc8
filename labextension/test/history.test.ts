import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Signal } from '@lumino/signaling';

import { History, SPAN_MS, STEP_MS } from '../src/history.js';
import type { IHistory, ILease, IReading } from '../src/views.js';
import { lease, reading } from './views.js';

/** A model that says what it is told to, at times of the test's own. */
class Model {
  readonly changed = new Signal<this, void>(this);
  problem: unknown = null;
  leases: ILease[] = [lease()];
  used = 1;
  now = 1_000_000;

  readingOf(): IReading | null {
    return reading({ memoryUsedBytes: this.used, utilization: { sm: this.used } });
  }

  /** The next answer, so much later. */
  answer(later: number, used = this.used): void {
    this.now += later;
    this.used = used;
    this.changed.emit();
  }
}

/** A history over the model, and how often the server was asked for its own. */
function over(model: Model, server: () => Promise<IHistory> = async () => told()) {
  const asked: number[] = [];
  const history = new History(
    async () => {
      asked.push(model.now);
      return server();
    },
    model,
    () => model.now
  );
  return { history, asked };
}

function told(...ages: number[]): IHistory {
  const points = ages.map(ageSeconds => ({ ageSeconds, memoryUsedBytes: 7, utilization: null }));
  return { stepSeconds: 5, leases: [{ leaseId: 'l1', points }] };
}

const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

test('what was before this tab looked comes from the server, once', async () => {
  const model = new Model();
  const { history, asked } = over(model, async () => told(20, 10));
  model.answer(0);
  const watching = history.watch();
  await settled();
  model.answer(2_000);
  watching.dispose();
  history.watch();
  await settled();
  const points = history.pointsOf(lease());
  assert.deepEqual(
    points.map(point => point.memoryUsedBytes),
    [7, 7, 1, 1]
  );
  assert.equal(asked.length, 1);
});

test('nobody watches, nobody asks', async () => {
  const model = new Model();
  const { asked } = over(model);
  model.answer(0);
  model.answer(3_600_000);
  await settled();
  assert.equal(asked.length, 0);
});

test('after a laptop slept the server is asked what was meanwhile', async () => {
  const model = new Model();
  const { history, asked } = over(model);
  history.watch();
  model.answer(0);
  model.answer(2_000);
  model.answer(3_600_000);
  await settled();
  assert.equal(asked.length, 2);
});

test('a clock that is set back makes no mess', async () => {
  const model = new Model();
  const { history } = over(model, async () => told(5));
  history.watch();
  await settled();
  model.answer(0);
  model.answer(-500_000);
  await settled();
  const times = history.pointsOf(lease()).map(point => point.at);
  assert.deepEqual(times, [...times].sort());
  assert.ok(Math.max(...times) <= model.now);
});

test('an older server without a history leaves what this tab saw', async () => {
  const model = new Model();
  const { history } = over(model, async () => {
    throw new Error('404 Not Found');
  });
  history.watch();
  model.answer(0, 3);
  await settled();
  assert.deepEqual(
    history.pointsOf(lease()).map(point => [point.memoryUsedBytes, point.utilization]),
    [[3, 3]]
  );
});

test('while there is no answer nothing is added', () => {
  const model = new Model();
  const { history } = over(model);
  model.answer(0);
  const before = history.pointsOf(lease());
  model.problem = 'cut off';
  model.answer(2_000);
  assert.equal(history.pointsOf(lease()), before);
});

test('a tab that is open for days keeps fifteen minutes, of the leases there are', () => {
  const model = new Model();
  const { history } = over(model);
  const most = SPAN_MS / STEP_MS + 2;
  for (let each = 0; each < 100_000; each++) {
    if (each % 1_000 === 0) {
      model.leases = [lease(), lease({ leaseId: `other${each}` })];
    }
    model.answer(2_000, each);
    if (each % 997 === 0) {
      assert.ok(history.pointsOf(lease()).length <= most);
    }
  }
  const points = history.pointsOf(lease());
  assert.ok(points.length > most / 2);
  assert.equal(points[points.length - 1]?.memoryUsedBytes, 99_999);
  assert.ok((points[0]?.at ?? 0) > model.now - SPAN_MS);
  assert.equal(history.pointsOf(lease({ leaseId: 'other0' })).length, 0);
});
