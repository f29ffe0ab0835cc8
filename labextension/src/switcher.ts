import type { Session } from '@jupyterlab/services';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IChoice } from './choices.js';
import { isFree } from './choices.js';
import { isWaiting, problemIn } from './model.js';
import type { ISubject } from './subject.js';
import type { IProblem, ISwitched } from './views.js';

/** What it asks of the server. */
export interface IServer {
  changeSize(kernelId: string, size: string, kernelspec: string): Promise<ISwitched>;
}

/** What it asks of people. */
export interface IQuestions {
  /** Whether the variables may be lost. `to` null: no GPU. */
  isSure(subject: ISubject, to: IChoice | null): Promise<boolean>;
  /** Tell that it was not changed; whether to give up what there is and wait in line instead. */
  wantsToWait(subject: ISubject, to: IChoice, problem: IProblem): Promise<boolean>;
  /** Tell that JupyterLab could not start the kernel. */
  failed(subject: ISubject, problem: IProblem): Promise<void>;
}

/** What else changes when a size has. */
export interface IOthers {
  readonly sessions: Session.IManager;
  refresh(): void;
}

/** Puts notebooks on slices of other sizes, and knows which are being changed just now. */
export class Switcher {
  constructor(
    private readonly _server: IServer,
    private readonly _questions: IQuestions,
    private readonly _others: IOthers
  ) {}

  /** Emitted when a change begins and when it is over. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The name of the size that the kernel is being changed to; null: it is not being changed. */
  targetOf(kernelId: string | null): string | null {
    return kernelId === null ? null : (this._targets.get(kernelId) ?? null);
  }

  /** Change to that size, after asking where variables would be lost. */
  async ask(subject: ISubject, to: IChoice): Promise<void> {
    if (losesNothing(subject) || (await this._questions.isSure(subject, to))) {
      await this.change(subject, to);
    }
  }

  /** Change to that size. */
  async change(subject: ISubject, to: IChoice): Promise<void> {
    if (subject.kernelId === null || (losesNothing(subject) && !isFree(to))) {
      await this._start(subject, to.kernelspec);
    } else {
      await this._switch(subject, subject.kernelId, to);
    }
  }

  /** Change to a kernel without a GPU, after asking. */
  async giveUp(subject: ISubject, base: string): Promise<void> {
    if (losesNothing(subject) || (await this._questions.isSure(subject, null))) {
      await this._start(subject, base);
    }
  }

  private async _start(subject: ISubject, kernelspec: string): Promise<void> {
    try {
      await subject.start(kernelspec);
    } catch (error) {
      await this._questions.failed(subject, problemIn(error));
    } finally {
      this._others.refresh();
    }
  }

  private async _switch(subject: ISubject, kernelId: string, to: IChoice): Promise<void> {
    if (this._targets.has(kernelId)) {
      return;
    }
    const problem = await this._during(kernelId, to, async () => {
      const done = await this._server.changeSize(kernelId, to.size, to.kernelspec);
      await this._others.sessions.refreshRunning();
      await subject.adopt(done.kernelId);
    });
    if (problem !== null && (await this._questions.wantsToWait(subject, to, problem))) {
      await this._start(subject, to.kernelspec);
    }
  }

  /** Why it failed; null: it did not. */
  private async _during(
    kernelId: string,
    to: IChoice,
    change: () => Promise<void>
  ): Promise<IProblem | null> {
    this._targets.set(kernelId, to.name);
    this._changed.emit();
    try {
      await change();
      return null;
    } catch (error) {
      // The old size may have come back with a new kernel. If there is no news of that, the poll
      // that JupyterLab has of its own brings it later.
      await this._others.sessions.refreshRunning().catch(() => undefined);
      return problemIn(error);
    } finally {
      this._targets.delete(kernelId);
      this._others.refresh();
      this._changed.emit();
    }
  }

  private readonly _targets = new Map<string, string>();
  private readonly _changed = new Signal<this, void>(this);
}

/** Whether there are no variables: no kernel, or one that waits for its first slice. */
function losesNothing(subject: ISubject): boolean {
  return subject.kernelId === null || (subject.lease !== null && isWaiting(subject.lease));
}
