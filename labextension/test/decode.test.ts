import assert from 'node:assert/strict';
import { test } from 'node:test';

import { list, maybe, number, object, record, text, withDefault, word } from '../src/decode.js';
import * as views from '../src/views.js';

interface IThing {
  readonly gpuIndex: number;
  readonly note: string | null;
}

const thing = object<IThing>({ gpuIndex: number, note: maybe(text) });

test('fields are snake_case on the wire, and unknown ones are passed over', () => {
  const decoded = thing({ gpu_index: 1, note: null, from_the_future: {} });
  assert.deepEqual(decoded, { gpuIndex: 1, note: null });
});

test('what may be null may be missing', () => {
  assert.deepEqual(thing({ gpu_index: 1 }), { gpuIndex: 1, note: null });
});

test('a wrong type is refused with where it is', () => {
  const things = object<{ things: readonly IThing[] }>({ things: list(thing) });
  const wrong = { things: [{ gpu_index: 1 }, { gpu_index: '1' }] };
  assert.throws(() => things(wrong), /things\[1\]\.gpu_index is not a number/);
});

test('null, lists and text are no objects', () => {
  for (const wrong of [null, [], 'text', undefined]) {
    assert.throws(() => thing(wrong), /is not an object/);
  }
});

test('an infinite number is none: JSON has no such thing', () => {
  assert.throws(() => number(Infinity), /is not a number/);
});

test('a default stands for what an older server does not say, and for nothing else', () => {
  const count = withDefault(number, 7);
  assert.equal(count(undefined), 7);
  assert.throws(() => count(null), /is not a number/);
});

test('a word of a newer server is understood as other', () => {
  const state = word(['on', 'off'], 'unknown');
  assert.deepEqual(
    ['on', 'hibernating'].map(each => state(each)),
    ['on', 'unknown']
  );
});

test('an overview of the least a server says, and of the most', () => {
  const node = { driver: 'd', simulated: false, gpus: [], sizes: [], waiting: 0 };
  const least = views.overview({ node, leases: [] });
  assert.equal(least.readings, null);
  const gpu = {
    uuid: 'GPU-0',
    index: 0,
    name: 'A100',
    memory_bytes: 1,
    units: 8,
    mode: 'static',
    instances: [{ profile: '1g.5gb', memory_bytes: 1, state: 'hatching', start: 0, width: 1 }],
    rooms: [{ start: 1, width: 7, sizes: ['1g.5gb'] }]
  };
  const readings = { age_seconds: 0, simulated: true, slices: [{ instance_id: 'i1' }] };
  const most = views.overview({ node: { ...node, gpus: [gpu] }, leases: [], readings });
  assert.equal(most.node.gpus[0]?.instances[0]?.state, 'unknown');
  assert.deepEqual(most.readings?.slices[0], {
    instanceId: 'i1',
    memoryUsedBytes: null,
    memoryTotalBytes: null,
    memoryNotAvailable: '',
    utilization: {},
    utilizationSource: '',
    utilizationNotAvailable: '',
    processes: null,
    processesNotAvailable: ''
  });
  assert.deepEqual(most.readings.gpus, []);
  assert.deepEqual(most.node.gpus[0].notes, []);
});

test('utilization is what was measured, and GPUs are read as a whole', () => {
  const node = { driver: 'd', simulated: false, gpus: [], sizes: [], waiting: 0 };
  const readings = {
    age_seconds: 0,
    simulated: true,
    slices: [{ instance_id: 'i1', utilization: { sm: 43.2, dram: 10 }, utilization_source: 'GPM' }],
    gpus: [{ gpu_uuid: 'GPU-0', power_watts: 118.4, temperature_celsius: null }]
  };
  const told = views.overview({ node, leases: [], readings });
  assert.deepEqual(told.readings?.slices[0]?.utilization, { sm: 43.2, dram: 10 });
  assert.deepEqual(told.readings.gpus[0], {
    gpuUuid: 'GPU-0',
    powerWatts: 118.4,
    temperatureCelsius: null,
    notAvailable: ''
  });
});

test('names that are data stay as they are on the wire', () => {
  assert.deepEqual(record(number)({ snake_case: 1 }), { snake_case: 1 });
  assert.throws(() => record(number)({ sm: '1' }, 'x'), /x\.sm is not a number/);
});

test('a history of an older server has no points', () => {
  const told = views.history({ step_seconds: 5, leases: [{ lease_id: 'l1' }] });
  assert.deepEqual(told.leases, [{ leaseId: 'l1', points: [] }]);
});
