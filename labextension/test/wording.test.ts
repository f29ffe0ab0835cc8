import assert from 'node:assert/strict';
import { test } from 'node:test';

import { gibibytes } from '../src/wording.js';

test('sizes are rounded as on the command line, ties to even', () => {
  const said = [39.25, 39.75, 39.26, 4.75, 0.04].map(each => gibibytes(each * 2 ** 30));
  assert.deepEqual(said, ['39.2', '39.8', '39.3', '4.8', '0.0']);
});
