import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import type { ISessionContext } from '@jupyterlab/apputils';
import { ISessionContextDialogs } from '@jupyterlab/apputils';

import { withSizes } from '../picker.js';
import { inContext } from '../subject.js';
import { ISizing } from './sizing.js';
import { ISlices } from './slices.js';

export const picker: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-mig:picker',
  description: 'Says in the kernel dialog what is free of each size.',
  autoStart: true,
  requires: [ISlices, ISizing],
  optional: [ISessionContextDialogs],
  activate: (
    _: JupyterFrontEnd,
    slices: ISlices,
    sizing: ISizing,
    dialogs: ISessionContext.IDialogs | null
  ): void => {
    if (dialogs === null) {
      return;
    }
    const stock = dialogs.selectKernel.bind(dialogs);
    dialogs.selectKernel = async context => {
      await stock(await seen(context, slices, sizing));
    };
  }
};

/** As the dialog shall see the session; as it is if anything is not as we know it. */
async function seen(
  context: ISessionContext,
  { model, trans }: ISlices,
  sizing: ISizing
): Promise<ISessionContext> {
  try {
    await sizing.refreshed();
    return withSizes(context, sizing.choices, trans, choice => {
      const kernelId = context.session?.kernel?.id;
      const lease = kernelId === undefined ? null : model.leaseOf(kernelId);
      return sizing.switcher.change(inContext(context, lease), choice);
    });
  } catch (error) {
    console.warn('jupyter-mig: the kernel dialog says nothing of sizes', error);
    return context;
  }
}
