/** The server's REST door for front ends, below `jupyter-mig/api`. */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type { IHistory, IOverview, IProblem, ISwitched } from './views.js';
import * as views from './views.js';

/** A request the server refused or could not carry out. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: IProblem
  ) {
    super(problem.message);
    this.name = 'ApiError';
  }
}

/** An answer that is longer on its way will not come. (Without an end to it no other is asked for.) */
const ANSWER_MS = 15_000;

export class Api {
  constructor(private readonly _settings: ServerConnection.ISettings) {}

  /** Everything at this moment. */
  async overview(): Promise<IOverview> {
    return views.overview(await this._read('overview'));
  }

  /** The last minutes of the user's own slices. */
  async history(): Promise<IHistory> {
    return views.history(await this._read('history'));
  }

  /** Call off the wait of that kernel's start. */
  async cancel(kernelId: string): Promise<void> {
    await this._ask(`leases/${encodeURIComponent(kernelId)}`, { method: 'DELETE' });
  }

  /**
   * Give the notebook of that kernel a new one of that kernelspec, on a slice of the size that the
   * kernelspec asks for. It has started when this returns.
   */
  async changeSize(kernelId: string, size: string, kernelspec: string): Promise<ISwitched> {
    const path = `kernels/${encodeURIComponent(kernelId)}/size`;
    const body = JSON.stringify({ size, kernelspec });
    return views.switched(await this._ask(path, { method: 'POST', body }));
  }

  private async _read(path: string): Promise<unknown> {
    return this._ask(path, { signal: AbortSignal.timeout(ANSWER_MS) });
  }

  /** The answer's JSON. Throws {@link ApiError}, ServerConnection.NetworkError, DecodeError. */
  private async _ask(path: string, init: RequestInit): Promise<unknown> {
    const url = URLExt.join(this._settings.baseUrl, 'jupyter-mig', 'api', path);
    const response = await ServerConnection.makeRequest(url, init, this._settings);
    const answer = await json(response);
    if (!response.ok) {
      throw new ApiError(response.status, problemIn(answer, response));
    }
    return answer;
  }
}

/** null where the body is not JSON: a proxy's page, an empty answer. */
async function json(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return null;
  }
}

function problemIn(body: unknown, response: Response): IProblem {
  try {
    return views.problem(body);
  } catch {
    const message = `${response.status} ${response.statusText}`.trim();
    return { kind: '', message, situation: '', nextStep: '' };
  }
}
