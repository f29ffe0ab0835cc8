import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ITranslator } from '@jupyterlab/translation';
import { Token } from '@lumino/coreutils';

import { Api } from './api.js';
import { Front } from './front.js';
import { Kernels } from './kernels.js';
import { isSettled, Model } from './model.js';
import type { INotice } from './notices.js';
import { Waits } from './notices.js';
import { Panel } from './panel.js';
import { StatusItem } from './statusItem.js';

/** What all our plugins share. */
interface ISlices {
  readonly model: Model;
  readonly front: Front;
  readonly kernels: Kernels;
  readonly trans: TranslationBundle;
}

const ISlices = new Token<ISlices>(
  'jupyter-mig:ISlices',
  'What the server tells of GPU slices, and what can be done about them.'
);

const OPEN_PANEL = 'jupyter-mig:open-panel';

const slices: JupyterFrontEndPlugin<ISlices> = {
  id: 'jupyter-mig:slices',
  description: 'Asks the server about GPU slices, once for all that shows them.',
  autoStart: true,
  requires: [ITranslator],
  provides: ISlices,
  activate: (app: JupyterFrontEnd, translator: ITranslator): ISlices => {
    const trans = translator.load('jupyter_mig');
    const model = new Model(new Api(app.serviceManager.serverSettings));
    const front = new Front(app.shell);
    front.changed.connect(() => {
      const lease = front.kernelId === null ? null : model.leaseOf(front.kernelId);
      if (lease === null || !isSettled(lease)) {
        model.refresh();
      }
    });
    void app.restored.then(() => model.start());
    return { model, front, kernels: new Kernels(app, model, trans), trans };
  }
};

const panel: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-mig:panel',
  description: 'The side panel with the GPUs of the node.',
  autoStart: true,
  requires: [ISlices],
  optional: [ILayoutRestorer, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    { model, front, kernels, trans }: ISlices,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null
  ): void => {
    const widget = new Panel(model, front, kernels, trans);
    app.shell.add(widget, 'right', { rank: 900, type: 'GPU slices' });
    restorer?.add(widget, Panel.ID);
    app.commands.addCommand(OPEN_PANEL, {
      label: trans.__('Show GPU Slices'),
      caption: trans.__('Show who holds what of the GPUs of this node'),
      execute: () => app.shell.activateById(Panel.ID)
    });
    palette?.addItem({ command: OPEN_PANEL, category: trans.__('Kernel Operations') });
  }
};

const status: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-mig:status',
  description: 'The slice of the notebook in front, in the status bar.',
  autoStart: true,
  requires: [ISlices],
  optional: [IStatusBar],
  activate: (
    app: JupyterFrontEnd,
    { model, front, kernels, trans }: ISlices,
    statusBar: IStatusBar | null
  ): void => {
    const openPanel = (): void => void app.commands.execute(OPEN_PANEL);
    statusBar?.registerStatusItem('jupyter-mig:status', {
      item: new StatusItem(model, front, kernels, openPanel, trans),
      align: 'left',
      rank: 3
    });
  }
};

const notices: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-mig:notices',
  description: 'Says when a kernel that waited has its slice.',
  autoStart: true,
  requires: [ISlices],
  optional: [ISettingRegistry],
  activate: (
    _: JupyterFrontEnd,
    { model, kernels, trans }: ISlices,
    registry: ISettingRegistry | null
  ): void => {
    const waits = new Waits(trans);
    let areWanted = true;
    void registry?.load('jupyter-mig:notices').then(settings => {
      const read = (): void => {
        areWanted = settings.get('enabled').composite !== false;
      };
      settings.changed.connect(read);
      read();
    });
    const show = (notice: INotice): void => {
      const callback = (): void => void kernels.goTo(notice.lease);
      const actions = [{ label: trans.__('Go to Notebook'), callback }];
      const options = { autoClose: notice.milliseconds, actions };
      if (notice.kind === 'granted') {
        Notification.success(notice.text, options);
      } else {
        Notification.warning(notice.text, options);
      }
    };
    model.changed.connect(() => {
      const news = waits.news(model, performance.now());
      if (areWanted) {
        news.forEach(show);
      }
    });
  }
};

export default [slices, panel, status, notices];
