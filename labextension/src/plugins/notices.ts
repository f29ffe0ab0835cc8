import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import type { Event } from '@jupyterlab/services';
import { ISettingRegistry } from '@jupyterlab/settingregistry';

import { Bulletin } from '../bulletin.js';
import { newsIn } from '../news.js';
import { Toasts } from '../toasts.js';
import { Waits } from '../waits.js';
import { Wishes } from '../wishes.js';
import { ISizing } from './sizing.js';
import { ISlices } from './slices.js';

export const notices: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-mig:notices',
  description: 'Says what becomes of slices, and of those who wait for one.',
  autoStart: true,
  requires: [ISlices],
  optional: [ISizing, ISettingRegistry],
  activate: (
    app: JupyterFrontEnd,
    { model, kernels, trans }: ISlices,
    sizing: ISizing | null,
    registry: ISettingRegistry | null
  ): void => {
    const wishes = new Wishes();
    void registry?.load(notices.id).then(settings => wishes.follow(settings));
    const toasts = new Toasts(model, kernels, sizing, trans);
    const bulletin = new Bulletin({
      isWanted: kind => wishes.isWanted(kind),
      isWaiting: leaseId => model.waiting.some(lease => lease.leaseId === leaseId),
      hasCancelled: leaseId => model.hasCancelled(leaseId),
      isOpen: news => kernels.isOpen(news),
      show: notice => toasts.show(notice)
    });
    // Other front ends than JupyterLab and Notebook may come without an event manager.
    const events = app.serviceManager.events as Event.IManager | undefined;
    events?.stream.connect((_, emission) => {
      const news = newsIn(emission);
      if (news !== null) {
        model.refresh();
        bulletin.take(news);
      }
    });
    const waits = new Waits(trans);
    model.changed.connect(() => {
      waits.news(model, performance.now()).forEach(news => bulletin.takeOwn(news));
    });
  }
};
