import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { IBlock } from '../src/geometry.js';
import { blocks, freeShare, isPlaced, startable } from '../src/geometry.js';
import type { IGpu, IInstance } from '../src/views.js';
import { sizes } from './kernelspecs.js';
import { gpu, instance, overview } from './views.js';

/** "mine 0+2, free 2+6": the drawing in words. */
function drawn(one: IGpu): string {
  const word = ({ kind, start, width }: IBlock): string => `${kind} ${start}+${width}`;
  return blocks(one).map(word).join(', ');
}

test('an empty GPU is one room, named by what fits', () => {
  const empty = gpu({ rooms: [{ start: 0, width: 8, sizes: ['1g.5gb', '7g.40gb'] }] });
  assert.equal(drawn(empty), 'free 0+8');
  assert.deepEqual(blocks(empty)[0]?.sizes, ['1g.5gb', '7g.40gb']);
  assert.equal(freeShare(empty), 1);
});

test('slices stand where they are, whatever order they come in', () => {
  const one = gpu({
    instances: [
      instance({ start: 4, width: 4, profile: '3g.20gb' }),
      instance({ start: 0, width: 2, mine: true, leaseId: 'l1' })
    ],
    rooms: [{ start: 2, width: 2, sizes: ['2g.10gb'] }]
  });
  assert.equal(drawn(one), 'mine 0+2, free 2+2, others 4+4');
  assert.equal(freeShare(one), 0.25);
});

test('what is free of slices and no room is kept for somebody in line', () => {
  const one = gpu({ rooms: [{ start: 2, width: 2, sizes: [] }] });
  assert.equal(drawn(one), 'kept 0+2, free 2+2, kept 4+4');
});

test('each state of an instance has its look', () => {
  const states: [IInstance['state'], string][] = [
    ['held', 'others'],
    ['idle', 'free'],
    ['creating', 'changing'],
    ['destroying', 'changing'],
    ['condemned', 'stuck'],
    ['outside', 'others'],
    ['unknown', 'others']
  ];
  for (const [state, look] of states) {
    const one = gpu({ units: 1, instances: [instance({ state })] });
    assert.equal(drawn(one), `${look} 0+1`);
  }
});

test('slices whose places nobody may know fill the gaps from the left', () => {
  const one = gpu({
    instances: [
      instance({ start: 0, width: 2 }),
      instance({ start: null, width: null, memoryBytes: 20 * 2 ** 30 }),
      instance({ start: null, width: null })
    ]
  });
  assert.equal(isPlaced(one), false);
  assert.equal(drawn(one), 'others 0+2, others 2+4, others 6+1, free 7+1');
});

test('a GPU of which even the units are unknown is drawn by shares of its memory', () => {
  const half = instance({ start: null, width: null, memoryBytes: 20 * 2 ** 30 });
  assert.equal(drawn(gpu({ units: 0, instances: [half] })), 'others 0+4, free 4+4');
});

test('drawings have no gap and no overlap, over every way to cut an A100 by 1g and 2g', () => {
  for (let cut = 0; cut < 3 ** 4; cut++) {
    const instances: IInstance[] = [];
    for (let pair = 0; pair < 4; pair++) {
      const kind = Math.floor(cut / 3 ** pair) % 3;
      if (kind > 0) {
        instances.push(instance({ start: 2 * pair, width: kind }));
      }
    }
    let at = 0;
    for (const block of blocks(gpu({ instances }))) {
      assert.equal(block.start, at);
      at += block.width;
    }
    assert.equal(at, 8);
  }
});

test('a slice that sticks out (a newer GPU than its geometry) is cut off at the end', () => {
  assert.equal(
    drawn(gpu({ instances: [instance({ start: 6, width: 4 })] })),
    'kept 0+6, others 6+2'
  );
});

test('where a rule means the user, a free block promises no more than he could start', () => {
  const [block] = blocks(gpu({ rooms: [{ start: 0, width: 8, sizes: ['1g.5gb', '7g.40gb'] }] }));
  assert.ok(block !== undefined);
  const { node } = overview([]);
  const counted = { ...node, sizes: sizes({ '1g.5gb': 2, '7g.40gb': 0 }) };
  const allowance = { rule: 'rule 1 (*)', allows: 'sizes 1g.5gb', holds: '0 slices' };
  assert.deepEqual(startable(block, { ...counted, allowance }), ['1g.5gb']);
  assert.deepEqual(startable(block, { ...counted, allowance: null }), ['1g.5gb', '7g.40gb']);
});
