import assert from 'node:assert/strict';
import { test } from 'node:test';

import { overlay } from '../src/overlay.js';

class Counter {
  #count = 0;
  name = 'counter';

  get count(): number {
    return this.#count;
  }

  add(): void {
    this.#count += 1;
  }

  toString(): string {
    return `${this.name}: ${this.count}`;
  }
}

test('members are replaced; the rest is the object itself, private parts and all', () => {
  const counter = new Counter();
  const seen = overlay(counter, { name: 'another' });
  seen.add();
  assert.equal(seen.name, 'another');
  assert.equal(seen.count, 1);
  assert.equal(counter.count, 1);
  assert.equal(seen.toString(), 'counter: 1');
  assert.ok(seen instanceof Counter);
});

test('what is set is set on the object', () => {
  const counter = new Counter();
  const seen = overlay(counter, { toString: () => 'nothing' });
  seen.name = 'renamed';
  assert.equal(counter.name, 'renamed');
  assert.equal(seen.toString(), 'nothing');
});

test('names that all objects have are not taken for members', () => {
  assert.equal(overlay(new Counter(), {}).toString(), 'counter: 0');
});
