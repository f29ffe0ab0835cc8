import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';

import { History } from '../history.js';
import { Panel } from '../panel.js';
import { ISizing } from './sizing.js';
import { ISlices } from './slices.js';

export const OPEN_PANEL = 'jupyter-mig:open-panel';

export const panel: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-mig:panel',
  description: 'The side panel with the GPUs of the node.',
  autoStart: true,
  requires: [ISlices],
  optional: [ISizing, ILayoutRestorer, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    { api, model, front, kernels, trans }: ISlices,
    sizing: ISizing | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null
  ): void => {
    const history = new History(() => api.history(), model);
    const widget = new Panel({ trans, model, history, kernels, sizing }, front);
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
