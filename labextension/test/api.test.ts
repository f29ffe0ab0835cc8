import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';

import { ServerConnection } from '@jupyterlab/services';

import { Api, ApiError } from '../src/api.js';

const NODE = { driver: 'd', simulated: true, gpus: [], sizes: [], waiting: 3 };

interface IAnswer {
  readonly status: number;
  readonly body: string;
}

/** What a call makes of one answer of a real server under a prefix, and what that was asked. */
async function asking<T>(
  answer: IAnswer,
  call: (api: Api) => Promise<T>
): Promise<{ asked: string; result: T | Error }> {
  let asked = '';
  const server = createServer((request, response) => {
    asked = `${request.method} ${request.url?.split('?')[0]}`;
    response.writeHead(answer.status, { 'Content-Type': 'application/json' });
    response.end(answer.body);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const baseUrl = `http://127.0.0.1:${port}/user/ada/`;
  const settings = ServerConnection.makeSettings({ baseUrl, token: '' });
  const result = await call(new Api(settings)).catch((error: unknown) => error as Error);
  server.closeAllConnections();
  await new Promise(resolve => server.close(resolve));
  return { asked, result };
}

test('the overview is asked for below the base URL', async () => {
  const body = JSON.stringify({ node: NODE, leases: [], readings: null });
  const { asked, result } = await asking({ status: 200, body }, api => api.overview());
  assert.equal(asked, 'GET /user/ada/jupyter-mig/api/overview');
  assert.ok(!(result instanceof Error));
  assert.equal(result.node.waiting, 3);
});

test('an error carries the words of the server', async () => {
  const body = JSON.stringify({ kind: 'refused', message: 'No.', next_step: 'Shut it down.' });
  const { asked, result } = await asking({ status: 409, body }, api => api.cancel('a-b'));
  assert.equal(asked, 'DELETE /user/ada/jupyter-mig/api/leases/a-b');
  assert.ok(result instanceof ApiError);
  assert.deepEqual([result.problem.kind, result.problem.nextStep], ['refused', 'Shut it down.']);
});

test('a change of size says which kernel it became', async () => {
  const body = JSON.stringify({ kernel_id: 'k2', kernelspec: 'python3-mig-2g.10gb' });
  const { asked, result } = await asking({ status: 200, body }, api =>
    api.changeSize('a-b', '2g.10gb', 'python3-mig-2g.10gb')
  );
  assert.equal(asked, 'POST /user/ada/jupyter-mig/api/kernels/a-b/size');
  assert.ok(!(result instanceof Error));
  assert.equal(result.kernelId, 'k2');
});

test("a proxy's page is an error with its status", async () => {
  const answer = { status: 502, body: '<html>Bad gateway</html>' };
  const { result } = await asking(answer, api => api.overview());
  assert.ok(result instanceof ApiError);
  assert.equal(result.message, '502 Bad Gateway');
});

test('an answer that is not what was promised is an error that says where', async () => {
  const body = JSON.stringify({ node: { ...NODE, waiting: 'many' }, leases: [] });
  const { result } = await asking({ status: 200, body }, api => api.overview());
  assert.ok(result instanceof Error);
  assert.match(result.message, /node\.waiting is not a number/);
});
