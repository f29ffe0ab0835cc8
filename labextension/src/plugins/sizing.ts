import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import type { ISessionContext } from '@jupyterlab/apputils';
import { IToolbarWidgetRegistry } from '@jupyterlab/apputils';
import { Token } from '@lumino/coreutils';
import { Widget } from '@lumino/widgets';

import { SizeButton } from '../sizeButton.js';
import { SizeDialogs } from '../sizeDialogs.js';
import { Sizing } from '../sizing.js';
import { Switcher } from '../switcher.js';
import { ISlices } from './slices.js';

export type ISizing = Sizing;

export const ISizing = new Token<ISizing>(
  'jupyter-mig:ISizing',
  'The sizes that kernels can be had in, and how to get from one to another.'
);

/** Toolbars by the names of their widget factories. */
const TOOLBARS = ['Notebook', 'ConsolePanel'];

export const sizing: JupyterFrontEndPlugin<ISizing> = {
  id: 'jupyter-mig:sizing',
  description: 'Changes the size of the slice a kernel has.',
  autoStart: true,
  requires: [ISlices],
  provides: ISizing,
  activate: (app: JupyterFrontEnd, { api, model, trans }: ISlices): ISizing => {
    const { sessions } = app.serviceManager;
    const refresh = (): void => model.refresh();
    const switcher = new Switcher(api, new SizeDialogs(trans), { sessions, refresh });
    return new Sizing(app.serviceManager, model, switcher, trans);
  }
};

export const sizeButton: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-mig:size-button',
  description: 'The size of the slice, in the toolbars of notebooks and consoles.',
  autoStart: true,
  requires: [ISlices, ISizing, IToolbarWidgetRegistry],
  activate: (
    _: JupyterFrontEnd,
    { model, trans }: ISlices,
    sizes: ISizing,
    toolbars: IToolbarWidgetRegistry
  ): void => {
    for (const each of TOOLBARS) {
      toolbars.addFactory(each, 'gpu-size', (panel: Widget) =>
        hasContext(panel) ? new SizeButton(panel.sessionContext, model, sizes, trans) : new Widget()
      );
    }
  }
};

function hasContext(widget: Widget): widget is Widget & { sessionContext: ISessionContext } {
  return 'sessionContext' in widget;
}
