import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';

import type { INotice } from '../notices.js';
import { Waits } from '../notices.js';
import { ISlices } from './slices.js';

export const notices: JupyterFrontEndPlugin<void> = {
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
