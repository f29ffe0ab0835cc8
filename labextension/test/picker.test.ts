import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { ISessionContext } from '@jupyterlab/apputils';
import { nullTranslator } from '@jupyterlab/translation';

import type { IChoice } from '../src/choices.js';
import { choices } from '../src/choices.js';
import { withSizes } from '../src/picker.js';
import { kernelspecs, sizes } from './kernelspecs.js';

const TRANS = nullTranslator.load('jupyter_mig');
const FREE = sizes({ '1g.5gb': 2, '2g.10gb': 0, '3g.20gb': 1, '7g.40gb': 0 });

/** As much of a session as the dialog looks at. */
class Context {
  changed: unknown[] = [];
  session = null;
  specsManager = { specs: kernelspecs('python3') };
  hasNoKernel = true;
  kernelDisplayName = 'No Kernel';
  kernelPreference: ISessionContext.IKernelPreference = {};

  async changeKernel(model: unknown): Promise<null> {
    this.changed.push(model);
    return null;
  }
}

function seen(context: Context, change: (choice: IChoice) => Promise<void>, free = FREE): Context {
  const all = choices(context.specsManager.specs, free);
  const asContext = context as unknown as ISessionContext;
  return withSizes(asContext, all, TRANS, change) as unknown as Context;
}

const nobody = async (): Promise<void> => assert.fail('nothing was to be changed');

test('sizes say what is free and full ones that they would wait', () => {
  const { kernelspecs: specs } = seen(new Context(), nobody).specsManager.specs;
  assert.equal(
    specs['python3-mig-1g.5gb']?.display_name,
    'python3 (1g.5gb) · 5.0 GiB · 2 of 7 free'
  );
  assert.equal(
    specs['python3-mig-7g.40gb']?.display_name,
    'python3 (7g.40gb) · 5.0 GiB · none free now: would wait'
  );
  assert.equal(specs.python3?.display_name, 'python3');
});

test('who holds all he may have reads so, and is proposed the kernel without a GPU', () => {
  const overQuota = 'you hold 1 of 1 slices allowed';
  const mine = [
    ...sizes({ '1g.5gb': 0, '2g.10gb': 0 }, { unclaimed: 3, overQuota }),
    ...sizes({ '7g.40gb': 0 }, { unclaimed: 1, notAllowed: 'rule 1 (*)' })
  ];
  const session = seen(new Context(), nobody, mine);
  const { kernelspecs: specs } = session.specsManager.specs;
  assert.equal(
    specs['python3-mig-1g.5gb']?.display_name,
    'python3 (1g.5gb) · 5.0 GiB · you hold 1 of 1 slices allowed: would wait'
  );
  assert.equal(
    specs['python3-mig-7g.40gb']?.display_name,
    'python3 (7g.40gb) · 5.0 GiB · not allowed by rule 1 (*)'
  );
  assert.equal(session.kernelPreference.name, 'python3');
});

test('the words are for the dialog alone', () => {
  const context = new Context();
  seen(context, nobody);
  const spec = context.specsManager.specs.kernelspecs['python3-mig-1g.5gb'];
  assert.equal(spec?.display_name, 'python3 (1g.5gb)');
});

test('the current kernel is called as it is in the list', () => {
  const context = new Context();
  Object.assign(context, { hasNoKernel: false, kernelDisplayName: 'python3 (1g.5gb)' });
  assert.match(seen(context, nobody).kernelDisplayName, /2 of 7 free$/);
});

test('who prefers nothing is proposed the smallest that is free, or else no GPU', () => {
  assert.equal(seen(new Context(), nobody).kernelPreference.name, 'python3-mig-1g.5gb');
  const full = sizes({ '1g.5gb': 0, '2g.10gb': 0 });
  assert.equal(seen(new Context(), nobody, full).kernelPreference.name, 'python3');
});

test('a preference stands', () => {
  for (const preference of [{ name: 'julia' }, { language: 'python' }, { id: 'k1' }]) {
    const context = new Context();
    context.kernelPreference = preference;
    assert.deepEqual(seen(context, nobody).kernelPreference, preference);
  }
});

test('sizes are changed by us, everything else by JupyterLab', async () => {
  const context = new Context();
  const asked: string[] = [];
  const dialog = seen(context, async choice => {
    asked.push(choice.name);
  });
  await dialog.changeKernel({ name: 'python3-mig-3g.20gb' });
  await dialog.changeKernel({ name: 'python3' });
  await dialog.changeKernel({ id: 'k2' });
  assert.deepEqual(asked, ['3g.20gb']);
  assert.deepEqual(context.changed, [{ name: 'python3' }, { id: 'k2' }]);
});

test('where there are no sizes the dialog gets the session as it is', () => {
  const context = new Context();
  const same = withSizes(context as unknown as ISessionContext, [], TRANS, nobody);
  assert.equal(same, context);
});
