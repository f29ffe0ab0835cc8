import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IStatusBar } from '@jupyterlab/statusbar';

import { StatusItem } from '../statusItem.js';
import { OPEN_PANEL } from './panel.js';
import { ISlices } from './slices.js';

export const status: JupyterFrontEndPlugin<void> = {
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
