import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Session } from '@jupyterlab/services';

import { ApiError } from '../src/api.js';
import type { IChoice } from '../src/choices.js';
import { choices } from '../src/choices.js';
import type { ISubject } from '../src/subject.js';
import { Switcher } from '../src/switcher.js';
import type { ISwitched } from '../src/views.js';
import { kernelspecs, sizes } from './kernelspecs.js';
import { lease, waiting } from './views.js';

const ALL = choices(kernelspecs('python3'), sizes({ '1g.5gb': 1, '2g.10gb': 1, '7g.40gb': 0 }));
const NO_ROOM = { kind: 'no-room', message: 'No room.', situation: '', nextStep: '' };

function to(name: string): IChoice {
  const found = ALL.find(each => each.name === name);
  assert.ok(found);
  return found;
}

/** Server, user and JupyterLab: what they were asked, in order. */
class World {
  done: string[] = [];
  isSure = true;
  wantsToWait = false;
  server = async (): Promise<ISwitched> => ({ kernelId: 'k2', kernelspec: '', size: '' });

  switcher = new Switcher(
    {
      changeSize: async (kernelId, size, kernelspec) => {
        this.done.push(`change ${kernelId} ${size} ${kernelspec}`);
        return this.server();
      }
    },
    {
      isSure: async (_, choice) => {
        this.done.push(`sure of ${choice?.name ?? 'nothing'}?`);
        return this.isSure;
      },
      wantsToWait: async (_, choice, problem) => {
        this.done.push(`wait for ${choice.name}? ${problem.message}`);
        return this.wantsToWait;
      },
      failed: async (_, problem) => void this.done.push(`failed: ${problem.message}`)
    },
    {
      sessions: {
        refreshRunning: async () => void this.done.push('sessions')
      } as unknown as Session.IManager,
      refresh: () => void this.done.push('refresh')
    }
  );

  subject(parts: Partial<ISubject> = {}): ISubject {
    return {
      kernelId: 'k1',
      kernelName: 'python3-mig-1g.5gb',
      title: 'train.ipynb',
      lease: lease(),
      start: async name => void this.done.push(`start ${name}`),
      adopt: async id => void this.done.push(`adopt ${id}`),
      ...parts
    };
  }
}

test('a change is asked for, made by the server, and the notebook gets its new kernel', async () => {
  const world = new World();
  await world.switcher.ask(world.subject(), to('2g.10gb'));
  assert.deepEqual(world.done, [
    'sure of 2g.10gb?',
    'change k1 2g.10gb python3-mig-2g.10gb',
    'sessions',
    'adopt k2',
    'refresh'
  ]);
});

test('who is not sure changes nothing', async () => {
  const world = new World();
  world.isSure = false;
  await world.switcher.ask(world.subject(), to('2g.10gb'));
  await world.switcher.giveUp(world.subject(), 'python3');
  assert.deepEqual(world.done, ['sure of 2g.10gb?', 'sure of nothing?']);
});

test('while it lasts everybody can see what it is changed to, and it is not begun twice', async () => {
  const world = new World();
  const targets: (string | null)[] = [];
  world.switcher.changed.connect(() => targets.push(world.switcher.targetOf('k1')));
  let answer: (done: ISwitched) => void = () => assert.fail('not asked');
  world.server = () => new Promise(resolve => (answer = resolve));
  const first = world.switcher.change(world.subject(), to('2g.10gb'));
  await world.switcher.change(world.subject(), to('7g.40gb'));
  answer({ kernelId: 'k2', kernelspec: '', size: '' });
  await first;
  assert.deepEqual(targets, ['2g.10gb', null]);
  assert.equal(world.done.filter(each => each.startsWith('change')).length, 1);
});

test('a refusal is told, and who wants to wait is put in line', async () => {
  const world = new World();
  world.server = async () => {
    throw new ApiError(503, NO_ROOM);
  };
  await world.switcher.change(world.subject(), to('7g.40gb'));
  assert.deepEqual(world.done.slice(1), ['sessions', 'refresh', 'wait for 7g.40gb? No room.']);
  world.done = [];
  world.wantsToWait = true;
  await world.switcher.change(world.subject(), to('7g.40gb'));
  assert.deepEqual(world.done.slice(-2), ['start python3-mig-7g.40gb', 'refresh']);
});

test('without variables nobody is asked: no kernel, or one that waits', async () => {
  const world = new World();
  await world.switcher.ask(world.subject({ kernelId: null, lease: null }), to('2g.10gb'));
  assert.deepEqual(world.done, ['start python3-mig-2g.10gb', 'refresh']);
  world.done = [];
  await world.switcher.giveUp(world.subject({ lease: waiting() }), 'python3');
  assert.deepEqual(world.done, ['start python3', 'refresh']);
});

test('who waits keeps the place in line until the smaller slice is there', async () => {
  const world = new World();
  const subject = world.subject({ lease: waiting({ size: '7g.40gb' }) });
  await world.switcher.ask(subject, to('2g.10gb'));
  assert.equal(world.done[0], 'change k1 2g.10gb python3-mig-2g.10gb');
});

test('who waits for one size can wait for another', async () => {
  const world = new World();
  await world.switcher.ask(world.subject({ lease: waiting() }), to('7g.40gb'));
  assert.equal(world.done[0], 'start python3-mig-7g.40gb');
});

test('what JupyterLab could not start is told', async () => {
  const world = new World();
  const start = async (): Promise<void> => {
    throw new Error('cut off');
  };
  await world.switcher.giveUp(world.subject({ start }), 'python3');
  assert.deepEqual(world.done.slice(1), ['failed: cut off', 'refresh']);
});
