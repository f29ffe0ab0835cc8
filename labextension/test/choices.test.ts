import assert from 'node:assert/strict';
import { test } from 'node:test';

import { baseOf, choices, ofSameKernel, smallerNow, smallestFree } from '../src/choices.js';
import { kernelspecs, sizes } from './kernelspecs.js';
import { waiting } from './views.js';

const OFFERED = sizes({ '1g.5gb': 2, '2g.10gb': 1, '3g.20gb': 0, '7g.40gb': 0 });

test('choices are read from small to large, with what is free of each', () => {
  const all = choices(kernelspecs('python3'), OFFERED);
  assert.deepEqual(
    all.map(each => [each.name, each.base, each.count?.free]),
    [
      ['1g.5gb', 'python3', 2],
      ['2g.10gb', 'python3', 1],
      ['3g.20gb', 'python3', 0],
      ['7g.40gb', 'python3', 0]
    ]
  );
});

test('kernelspecs of others, and of other versions, are no choices', () => {
  const { kernelspecs: specs, ...rest } = kernelspecs('python3');
  const odd = { ...specs.python3, name: 'odd', metadata: { jupyter_mig: { profile: 7 } } };
  const strange = { python3: specs.python3, odd: odd as typeof specs.python3 };
  assert.deepEqual(choices({ ...rest, kernelspecs: strange }, OFFERED), []);
  assert.deepEqual(choices(null, OFFERED), []);
});

test('a requirement has no count of its own', () => {
  const [first] = choices(kernelspecs('python3', { '1g.5gb': '5gb+' }), OFFERED);
  assert.equal(first?.name, '1g.5gb');
  assert.equal(first.size, '5gb+');
  assert.equal(first.count, null);
});

test('a kernel is offered its own sizes, whichever of them it has', () => {
  const specs = kernelspecs('python3', {}, 'julia');
  const all = choices(specs, OFFERED);
  for (const name of ['python3', 'python3-mig-1g.5gb']) {
    assert.equal(baseOf(all, name), 'python3');
    assert.equal(ofSameKernel(all, name).length, 4);
    assert.ok(ofSameKernel(all, name).every(each => each.base === 'python3'));
  }
  assert.deepEqual(ofSameKernel(all, 'deno'), []);
});

test('the smallest that is free, and the largest free one below what is waited for', () => {
  const all = choices(kernelspecs('python3'), OFFERED);
  assert.equal(smallestFree(all)?.name, '1g.5gb');
  assert.equal(smallerNow(all, waiting({ size: '7g.40gb' }))?.name, '2g.10gb');
  assert.equal(smallerNow(all, waiting({ size: '2g.10gb' }))?.name, '1g.5gb');
  assert.equal(smallerNow(all, waiting({ size: '1g.5gb' })), null);
  assert.equal(smallerNow(all, waiting({ size: '20gb+' })), null);
  const full = choices(kernelspecs('python3'), sizes({ '1g.5gb': 0, '7g.40gb': 0 }));
  assert.equal(smallestFree(full), null);
});
