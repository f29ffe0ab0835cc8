import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ITranslator } from '@jupyterlab/translation';
import { Token } from '@lumino/coreutils';

import { Api } from '../api.js';
import { Front } from '../front.js';
import { Kernels } from '../kernels.js';
import { isSettled, Model } from '../model.js';

/** What all our plugins share. */
export interface ISlices {
  readonly api: Api;
  readonly model: Model;
  readonly front: Front;
  readonly kernels: Kernels;
  readonly trans: TranslationBundle;
}

export const ISlices = new Token<ISlices>(
  'jupyter-mig:ISlices',
  'What the server tells of GPU slices, and what can be done about them.'
);

export const slices: JupyterFrontEndPlugin<ISlices> = {
  id: 'jupyter-mig:slices',
  description: 'Asks the server about GPU slices, once for all that shows them.',
  autoStart: true,
  requires: [ITranslator],
  provides: ISlices,
  activate: (app: JupyterFrontEnd, translator: ITranslator): ISlices => {
    const trans = translator.load('jupyter_mig');
    const api = new Api(app.serviceManager.serverSettings);
    const model = new Model(api);
    const front = new Front(app.shell);
    front.changed.connect(() => {
      const lease = front.kernelId === null ? null : model.leaseOf(front.kernelId);
      if (lease === null || !isSettled(lease)) {
        model.refresh();
      }
    });
    void app.restored.then(() => {
      model.start();
      refreshOnReturn(model);
    });
    return { api, model, front, kernels: new Kernels(app, model, trans), trans };
  }
};

/** A tab that is seen again, and a laptop that is awake again, do not wait for the next poll. */
function refreshOnReturn(model: Model): void {
  window.addEventListener('online', () => model.refresh());
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') {
      model.refresh();
    }
  });
}
