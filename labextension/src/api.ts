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

export class Api {
  constructor(private readonly _settings: ServerConnection.ISettings) {}

  /** Everything at this moment. */
  async overview(): Promise<IOverview> {
    return views.overview(await this._ask('GET', 'overview'));
  }

  /** The last minutes of the user's own slices. */
  async history(): Promise<IHistory> {
    return views.history(await this._ask('GET', 'history'));
  }

  /** Call off the wait of that kernel's start. */
  async cancel(kernelId: string): Promise<void> {
    await this._ask('DELETE', `leases/${encodeURIComponent(kernelId)}`);
  }

  /**
   * Give the notebook of that kernel a new one of that kernelspec, on a slice of the size that the
   * kernelspec asks for. It has started when this returns.
   */
  async changeSize(kernelId: string, size: string, kernelspec: string): Promise<ISwitched> {
    const path = `kernels/${encodeURIComponent(kernelId)}/size`;
    return views.switched(await this._ask('POST', path, { size, kernelspec }));
  }

  /** The answer's JSON. Throws {@link ApiError}, ServerConnection.NetworkError, DecodeError. */
  private async _ask(method: string, path: string, body?: object): Promise<unknown> {
    const url = URLExt.join(this._settings.baseUrl, 'jupyter-mig', 'api', path);
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
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
