import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import type { Event } from '@jupyterlab/services';
import { ISettingRegistry } from '@jupyterlab/settingregistry';

import { newsIn } from '../news.js';
import { noticeOf } from '../notices.js';
import { Toasts } from '../toasts.js';
import { Wishes } from '../wishes.js';
import { ISizing } from './sizing.js';
import { ISlices } from './slices.js';

/** The news are told without an answer after that. */
const ANSWER_MS = 2_000;

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
    const events = app.serviceManager.events as Event.IManager | undefined;
    events?.stream.connect((_, emission) => {
      const news = newsIn(emission);
      if (news === null) {
        return;
      }
      // What can be done about it depends on the lease, which may be as new as the news.
      void model.refreshed(ANSWER_MS).then(() => {
        // Where a notebook is open JupyterLab says itself why its kernel did not start.
        const isSaid = news.kind === 'refused' && kernels.isOpen(news);
        if (wishes.isWanted(news.kind) && !isSaid) {
          toasts.show(noticeOf(news));
        }
      });
    });
  }
};
